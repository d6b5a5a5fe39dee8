"""Inference worker: answers with what `production` points to, or with the version asked for.

Every request reads its version once (`version`), so that it never mixes two.

Shapes: N images · D feature width
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from cachetools import LRUCache
from torch import Tensor

from adapters.adapter import UnseenClasses
from adapters.contract.class_entry import ClassEntry
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from adapters.errors import CorruptionError, NacreError, NotFoundError, reason_of
from adapters.familiarity import Verdict
from adapters.towers.image_tower import ImageTower
from workers.encoding.encoder import Encoder
from workers.encoding.encoders import Encoders
from workers.registry.record_cache import Versions
from workers.serving.follower import Follower
from workers.serving.version_cache import MOST, MOST_BYTES, LoadedVersion, Opening, VersionCache
from workers.serving.version_lookup import VersionLookup
from workers.traces.traceparent import Traceparent

KEPT_PROMPTS = 10_000
PROMPT = "a photo of a {}."


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """One class that an image may show, and how sure the version is of it.

    Attributes:
        label: The class's readable name.
        class_id: The class's id in its adapter; None for a label that nobody has learnt.
        task: The task that brought it; None for a label that nobody has learnt.
        score: Its probability among all candidates, 0 to 1.
        verdict: Whether the image is of none of the classes: of the best candidate, where that is
            asked.
    """

    label: str
    class_id: str | None
    task: str | None
    score: float
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is asked of each image.

    Attributes:
        top_k: Most candidates per image.
        tasks: Names of the tasks whose classes are candidates; None for all.
        labels: Further candidates, known by their names alone.
        prompt: The template of those.
        reject: The rate of false alarms at which images are of none of the classes; None where that
            is not asked.
    """

    top_k: int = 5
    tasks: tuple[str, ...] | None = None
    labels: tuple[str, ...] = ()
    prompt: str = PROMPT
    reject: float | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class PredictionRequest:
    """One request, whose images may be answered in several batches.

    Attributes:
        adapter: Its name.
        question: What is asked of every image.
        version: What to answer with; None until `production` is read for the first image.
        prepared_for: What `production` was when its images were decoded as an encoder reads them.
            It answers where `production` has moved to a version of another encoder since.
        place: The span that the batches of its images are parts of; None where nobody keeps it.
    """

    adapter: str
    question: Question
    version: LoadedVersion | None = None
    prepared_for: LoadedVersion | None = None
    place: Traceparent | None = None


def features_of(tower: ImageTower, pixels: Tensor) -> Tensor:
    """Return the features of (n, 3, S, S) pixels under `tower`."""
    return tower.features(pixels)


class Predictor:
    """Answers for the adapters that it follows.

    Args:
        encoder: The configured encoder.
        versions: Reads versions.
        adapters: The adapters whose `production` is followed.
        most: Most versions that are kept loaded.
        most_bytes: Most bytes of them.
        memory: How their memory vectors are kept.
        clock: Gives seconds that never go back.
        encoders: Knows the encoders of versions that were learnt under others; None where there
            are none.
    """

    # Owns: the followers, which guard themselves, and `_prompts`, guarded by `_lock`.

    def __init__(
        self,
        encoder: Encoder,
        versions: Versions,
        *,
        adapters: Sequence[str],
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        memory: MemoryFormat = "float32",
        clock: Callable[[], float] = time.monotonic,
        encoders: Encoders | None = None,
    ) -> None:
        self.encoder = encoder
        self._lookup = VersionLookup(versions.registry, clock=clock)
        self._cache = VersionCache(
            versions,
            base=encoder.image_tower,
            other=encoders.of if encoders else None,
            most=most,
            most_bytes=most_bytes,
            placement=Placement(device=encoder.device, memory=memory),
        )
        self._followers = {
            name: Follower(self._cache, versions, adapter=name, clock=clock) for name in adapters
        }
        self._lock = threading.Lock()
        self._prompts: LRUCache[tuple[str, str], Tensor] = LRUCache(KEPT_PROMPTS)

    @property
    def followers(self) -> Mapping[str, Follower]:
        """The followers, by the adapters' names."""
        return self._followers

    @property
    def loaded(self) -> tuple[str, ...]:
        """The versions that are kept loaded, the latest used last."""
        return self._cache.labels

    def opening(self, adapter: str) -> Opening | None:
        """Return which version of `adapter` is being opened, and how far it is; None for none."""
        found = (each for each in self._cache.opening if each.label.startswith(f"{adapter}@"))
        return next(found, None)

    def follower(self, adapter: str) -> Follower:
        """Return the follower of `adapter`.

        Raises:
            NotFoundError: it is not one that is followed.
        """
        found = self._followers.get(adapter)
        if found is None:
            raise NotFoundError(
                f"adapter {adapter!r} is not served here; this service has: "
                f"{', '.join(self._followers)}; name it under `serve: adapters:` in the "
                "configuration and start the system again",
                adapter=adapter,
            )
        return found

    def version(self, adapter: str, pinned: int | str | None = None) -> LoadedVersion:
        """Return the version to answer with; read it once per request.

        Args:
            adapter: Its name.
            pinned: A version by number or alias; None for `production`.

        Raises:
            NotFoundError: no such adapter, alias or version.
            InputError: a task of the pinned version was purged.
            UnavailableError: nothing is in production yet, or the store cannot be reached.
            CorruptionError: a blob of a pinned version is damaged.
        """
        follower = self.follower(adapter)
        if pinned is None:
            return follower.current
        current = follower.state.current
        if current is not None and str(pinned) == str(current.ref.number):
            return current
        return self._cache.load(adapter, self._lookup.find(adapter, pinned))

    def encoder_of(self, version: LoadedVersion | None) -> Encoder:
        """Return the encoder under which a version was learnt; the configured one for None."""
        return (version.encoder if version else None) or self.encoder

    def learn_labels(self, question: Question, encoder: Encoder | None = None) -> None:
        """Embed the labels that are asked about and not known yet; `predict` then finds them.

        Args:
            question: What is asked.
            encoder: Under which; the configured one where None.
        """
        self._unseen(question, encoder or self.encoder)

    def predict(
        self, features: Tensor, version: LoadedVersion, question: Question
    ) -> list[list[Candidate]]:
        """Return the best candidates of each image, best first.

        Args:
            features: (N, D), or (N, P, D), float32, unit rows, of the version's tower.
            version: What to answer with.
            question: What is asked.

        Raises:
            NotFoundError: a task that the version has not learnt.
            InputError: images are to be rejected at a rate that the version does not know.
        """
        encoder = self.encoder_of(version)
        scores = version.adapter.score(
            features,
            encoder=version.tower.fingerprint,
            logit_scale=encoder.logit_scale,
            unseen=self._unseen(question, encoder),
            tasks=question.tasks,
        )
        probabilities = scores.probabilities
        most = min(question.top_k, probabilities.shape[1])
        best = _best(scores.values, most)
        found = [
            [
                _candidate(scores.classes[column], probability)
                for column, probability in zip(columns, row, strict=True)
            ]
            for columns, row in zip(
                best.tolist(), probabilities.gather(1, best).tolist(), strict=True
            )
        ]
        if question.reject is None or not most:
            return found
        told = version.adapter.verdicts(
            features, scores, rate=question.reject, tasks=question.tasks
        )
        return [
            [replace(ranked[0], verdict=verdict), *ranked[1:]]
            for ranked, verdict in zip(found, told, strict=True)
        ]

    def predict_together(
        self,
        pixels: Sequence[Tensor],
        requests: Sequence[PredictionRequest],
        *,
        embed: Callable[[ImageTower, Tensor], Tensor] = features_of,
    ) -> list[list[Candidate] | NacreError]:
        """Return the best candidates of each image, or the error that its request gets.

        Images that are read through one tower are embedded together, whatever their versions;
        images about which the same is asked of one version are scored together: its memory is read
        once.

        Args:
            pixels: (3, S, S) uint8 of each image, N.
            requests: Of each image, N.
            embed: Returns the features of pixels (n, 3, S, S) under a tower.
        """
        answers: dict[int, list[Candidate] | NacreError] = {}
        versions: dict[int, LoadedVersion] = {}
        for row, request in enumerate(requests):
            try:
                versions[row] = self._version_of(request)
            except NacreError as error:
                answers[row] = error
        for rows in _by_tower(versions):
            tower = versions[rows[0]].tower
            try:
                features = embed(tower, torch.stack([pixels[row] for row in rows]))
            except Exception as error:
                if tower is self.encoder_of(versions[rows[0]]).image_tower:
                    raise
                # A tower that a method has made fails those who asked it, and nobody else.
                answers |= dict.fromkeys(rows, _failed(versions[rows[0]], error))
                continue
            asked = [(versions[row], requests[row].question) for row in rows]
            answers |= zip(rows, self._scored(features, asked), strict=True)
        return [answers[row] for row in range(len(requests))]

    def _scored(
        self, features: Tensor, asked: Sequence[tuple[LoadedVersion, Question]]
    ) -> list[list[Candidate] | NacreError]:
        """Return the answer of each image; alike questions of one version are scored together."""
        answers: dict[int, list[Candidate] | NacreError] = {}
        alike: dict[tuple[LoadedVersion, Question], list[int]] = {}
        for row, key in enumerate(asked):
            alike.setdefault(key, []).append(row)
        for (version, question), rows in alike.items():
            try:
                best = self.predict(features[rows], version, question)
            except NacreError as error:
                answers |= dict.fromkeys(rows, error)
            else:
                answers |= zip(rows, best, strict=True)
        return [answers[row] for row in range(len(asked))]

    def _version_of(self, request: PredictionRequest) -> LoadedVersion:
        # Read once, for the first image: everything in an answer comes from one version.
        if request.version is None:
            request.version = self._read(request)
        return request.version

    def _read(self, request: PredictionRequest) -> LoadedVersion:
        """Return what answers now, or what answered when images were prepared for its encoder."""
        now, before = self.version(request.adapter), request.prepared_for
        other = before is not None and before.manifest.encoder != now.manifest.encoder
        return before if before is not None and other else now

    def _unseen(self, question: Question, encoder: Encoder) -> UnseenClasses | None:
        if not question.labels:
            return None
        prompts = [question.prompt.format(label) for label in question.labels]
        entries = tuple(
            ClassEntry(class_id=f"{UNSEEN}{label}", name=label, prompt=prompt)
            for label, prompt in zip(question.labels, prompts, strict=True)
        )
        return UnseenClasses(classes=entries, text_features=self._prompt_features(prompts, encoder))

    def _prompt_features(self, prompts: Sequence[str], encoder: Encoder) -> Tensor:
        """Return the text features of `prompts`, (len, D), embedding what is not known yet."""
        name = encoder.fingerprint
        with self._lock:
            found = {prompt: self._prompts.get((name, prompt)) for prompt in prompts}
        known = {prompt: row for prompt, row in found.items() if row is not None}
        missing = [prompt for prompt in dict.fromkeys(prompts) if prompt not in known]
        if missing:
            rows = encoder.text_features(missing)
            known |= {prompt: row.clone() for prompt, row in zip(missing, rows, strict=True)}
        with self._lock:
            self._prompts.update({(name, prompt): row for prompt, row in known.items()})
        return torch.stack([known[prompt] for prompt in prompts])


UNSEEN = "/"
"""How the ids of labels begin that nobody has learnt: no task is called so."""


def _failed(version: LoadedVersion, error: Exception) -> NacreError:
    """Return what those are told whose version's tower has raised `error`."""
    if isinstance(error, NacreError):
        return error
    return CorruptionError(f"version {version.label} cannot read images: {reason_of(error)}")


def _by_tower(versions: Mapping[int, LoadedVersion]) -> list[list[int]]:
    """Return the rows whose versions read images through the same tower, group by group."""
    groups: dict[str, list[int]] = {}
    for row, version in versions.items():
        groups.setdefault(version.tower.fingerprint, []).append(row)
    return list(groups.values())


def _best(values: Tensor, most: int) -> Tensor:
    """Return the columns of the highest values, (N, most); the first columns where they tie."""
    if values.shape[1] <= SORTED_WHOLE:
        # A stable sort keeps the order of the columns where scores tie, as the argmax does.
        return values.sort(dim=1, descending=True, stable=True).indices[:, :most]
    threshold = values.topk(most, dim=1).values[:, -1:]
    best = []
    for row, least in zip(values, threshold, strict=True):
        columns = (row >= least).nonzero()[:, 0]  # ascending, so that ties keep their order
        order = row[columns].sort(descending=True, stable=True).indices[:most]
        best.append(columns[order])
    return torch.stack(best)


SORTED_WHOLE = 256
"""Up to so many columns a sort of all is as fast as looking for the best first."""


def _candidate(entry: ClassEntry, probability: float) -> Candidate:
    unseen = entry.class_id.startswith(UNSEEN)
    return Candidate(
        label=entry.name,
        class_id=None if unseen else entry.class_id,
        task=None if unseen else entry.class_id.split("/")[0],
        score=probability,
    )
