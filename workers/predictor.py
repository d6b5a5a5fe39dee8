"""The predictor role: answers with one version of an adapter, and moves to the next in one step.

A version is prepared first (new blobs fetched and verified, tensors built) and committed then (one
reference swapped). Every request reads the reference once, so that it never mixes two versions.

Shapes: N images · D feature width
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from adapters.errors import UnavailableError
from adapters.inference import Adapter
from adapters.records import Record
from workers.encoder import Encoder
from workers.versions import Versions


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedVersion:
    """One version, ready to answer.

    Attributes:
        adapter_name: Which adapter it is a version of.
        number: Its number.
        digest: SHA-256 of its manifest.
        adapter: Its records, put together.
    """

    adapter_name: str
    number: int
    digest: str
    adapter: Adapter

    @property
    def label(self) -> str:
        """The version as it is written: `adapter@number`."""
        return f"{self.adapter_name}@{self.number}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One class that an image may show, and how sure the version is of it.

    Attributes:
        label: The class's readable name.
        class_id: The class's id in its adapter.
        task: The task that brought it.
        score: Softmax of the scores over all candidates, 0 to 1.
    """

    label: str
    class_id: str
    task: str
    score: float


class Predictor:
    """Follows `production` of one adapter and answers with it."""

    # Owns: `_current`, swapped as a whole and never edited.

    def __init__(self, encoder: Encoder, versions: Versions, *, adapter: str) -> None:
        self.encoder = encoder
        self._versions = versions
        self._adapter = adapter
        self._current: LoadedVersion | None = None

    @property
    def current(self) -> LoadedVersion:
        """The version that answers now.

        Raises:
            UnavailableError: nothing has been published yet.
        """
        current = self._current
        if current is None:
            raise UnavailableError(
                f"adapter {self._adapter!r} has no version in production yet; submit a task and "
                "wait until it is published",
                adapter=self._adapter,
            )
        return current

    def follow(self) -> bool:
        """Move to `production` if it has moved, and return whether it had."""
        number = self._versions.resolve(self._adapter, "production")
        if number is None or (self._current is not None and number == self._current.number):
            return False
        self.commit(self.prepare(number))
        return True

    def prepare(self, number: int) -> LoadedVersion:
        """Return version `number`, fetched, verified and built; what answers stays as it is.

        Raises:
            NotFoundError: there is no such version.
            CorruptionError: a blob is damaged.
            EncoderMismatchError: the version was learnt with another encoder.
        """
        current = self._current
        if current is not None and current.number == number:
            return current
        manifest = self._versions.check_encoder(self._adapter, number, self.encoder.fingerprint)
        return LoadedVersion(
            adapter_name=self._adapter,
            number=number,
            digest=manifest.digest,
            adapter=_grown(current, self._versions.records(self._adapter, number)),
        )

    def commit(self, version: LoadedVersion) -> None:
        """Answer with `version` from the next request on."""
        self._current = version

    def predict(
        self, features: Tensor, version: LoadedVersion, *, top_k: int
    ) -> list[list[Candidate]]:
        """Return the best candidates of each image, best first.

        Args:
            features: (N, D) float32, unit rows.
            version: What to answer with, read once by the caller.
            top_k: Most candidates per image.
        """
        scores = version.adapter.score(
            features, encoder=self.encoder.fingerprint, logit_scale=self.encoder.logit_scale
        )
        # A stable sort keeps the order of the columns where scores tie, as the argmax does.
        best = scores.values.sort(dim=1, descending=True, stable=True)
        shares = scores.values.softmax(dim=1)
        return [
            [
                Candidate(
                    label=scores.classes[column].name,
                    class_id=scores.classes[column].class_id,
                    task=scores.classes[column].class_id.split("/")[0],
                    score=float(shares[row, column]),
                )
                for column in columns[:top_k]
            ]
            for row, columns in enumerate(best.indices.tolist())
        ]


def _grown(current: LoadedVersion | None, records: Sequence[Record]) -> Adapter:
    """Return the adapter of `records`, built on `current` where that is its beginning."""
    known = current.adapter.records if current else ()
    if (
        not known
        or len(known) > len(records)
        or any(old is not new for old, new in zip(known, records, strict=False))
    ):
        return Adapter(records)
    grown = current.adapter if current else Adapter(records)
    for record in records[len(known) :]:
        grown = grown.extended(record)
    return grown
