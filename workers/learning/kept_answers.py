"""Kept answers: what the newest version of an adapter answers about all test images, as a cache.

measured/<adapter>    the best score of each test image, whose it is, and the sum of all scores'
                      exponentials at its temperature; one object, replaced

It is made from records and test features and can be made again: no version needs it, and whoever
finds none, or one of other records, measures everything. Sealed as handovers are.

Shapes: N test images of a task
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.records import pack, unpack
from adapters.errors import CorruptionError, NacreError
from workers.formats.documents import Count, Digest, encode, validated
from workers.learning.handover import answers_key, find_handover, hand_over
from workers.store.base import ObjectStore


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BestAnswers:
    """What a version answers about the test images of one task.

    Attributes:
        scores: (N,) float32, the highest score that any class has.
        columns: (N,) int64, that class among all of the version's records, in their order; of
            classes that count as one the first that stands for them.
        log_sums: (N,) float32, log Σ exp over the scores of all classes, divided by the temperature
            of the column.
    """

    scores: Tensor
    columns: Tensor
    log_sums: Tensor

    def confidences(self, temperatures: Tensor) -> Tensor:
        """Return the probability of each answer, (N,) float32, given those of the columns."""
        return (self.scores / temperatures - self.log_sums).exp().clamp(max=1.0)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeptAnswers:
    """The answers of one version about the test images of all its tasks.

    Attributes:
        surroundings: Everything else that they depend on; see `surroundings`.
        records: SHA-256 of the version's records, in their order.
        tasks: The answers by the digest of the test features.
    """

    surroundings: str = ""
    records: tuple[str, ...] = ()
    tasks: Mapping[str, BestAnswers] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the bytes of the cache."""
        of_tasks = list(self.tasks.values())
        described = {
            "surroundings": self.surroundings,
            "records": list(self.records),
            "tasks": [[digest, len(found.scores)] for digest, found in self.tasks.items()],
        }
        tensors = {
            "scores": torch.cat([torch.zeros(0), *(found.scores for found in of_tasks)]),
            "columns": torch.cat(
                [torch.zeros(0, dtype=torch.int64), *(found.columns for found in of_tasks)]
            ).int(),
            "log_sums": torch.cat([torch.zeros(0), *(found.log_sums for found in of_tasks)]),
        }
        return pack(tensors, described)


NOTHING = KeptAnswers()


@dataclass(frozen=True, slots=True)
class _Described:
    surroundings: str
    records: tuple[Digest, ...]
    tasks: tuple[tuple[Digest, Count], ...]


def answers_from_bytes(content: bytes, what: str) -> KeptAnswers:
    """Return the answers in `content`; CorruptionError naming `what` where there are none."""
    tensors, described = unpack(content)
    known = validated(_Described, encode(described), what)
    counts = [count for _, count in known.tasks]
    found = [tensors.get(name) for name in ("scores", "log_sums", "columns")]
    if not _is_whole(found, sum(counts)):
        raise CorruptionError(
            f"{what} is damaged: expected a score, a sum and a column per test image, all of them "
            "numbers"
        )
    parts = zip(*(torch.split(each, counts) for each in found if each is not None), strict=True)
    return KeptAnswers(
        surroundings=known.surroundings,
        records=known.records,
        tasks={
            digest: BestAnswers(scores=best, log_sums=sums, columns=whose.long())
            for (digest, _), (best, sums, whose) in zip(known.tasks, parts, strict=True)
        },
    )


def _is_whole(found: Sequence[Tensor | None], images: int) -> bool:
    kinds = (torch.float32, torch.float32, torch.int32)
    return all(
        tensor is not None
        and tensor.dtype == kind
        and tensor.shape == (images,)
        and bool(tensor.isfinite().all())
        and not (kind == torch.int32 and bool((tensor < 0).any()))
        for tensor, kind in zip(found, kinds, strict=True)
    )


def surroundings(adapter: Adapter, *, logit_scale: float, code: str) -> str:
    """Return a digest of what answers depend on besides records and test images.

    Another processor, library or number of threads may round otherwise.
    """
    arithmetic = [torch.__version__, torch.backends.cpu.get_cpu_capability(), platform.machine()]
    named = [adapter.records[0].method, adapter.fingerprint, logit_scale, code]
    return digest_of(canonical_json([*named, *arithmetic, torch.get_num_threads()]))


def read_answers(store: ObjectStore, adapter: str) -> KeptAnswers:
    """Return what is kept; nothing where that is damaged or cannot be read now."""
    key = answers_key(adapter)
    try:
        content = find_handover(store, key)
        return NOTHING if content is None else answers_from_bytes(content, repr(key))
    except NacreError:
        return NOTHING


def keep_answers(store: ObjectStore, adapter: str, answers: KeptAnswers) -> None:
    """Keep `answers` instead of what was kept of the adapter."""
    hand_over(store, answers_key(adapter), answers.to_bytes())
