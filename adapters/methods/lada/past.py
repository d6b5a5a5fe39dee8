"""Old classes in LADA's training: the constants that a new task is learnt against.

Shapes: S old classes · D feature width
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.records import Record
from adapters.methods.lada.memory import MemoryBlock, grouped_offsets
from adapters.methods.lada.past_softmax import OldClasses
from adapters.methods.lada.record import checked_tensors, record_mixtures
from adapters.methods.lada.replay import ReplaySource
from adapters.methods.lada.settings import LadaSettings


def old_classes(
    past: Sequence[Record],
    *,
    scale: float,
    width: int,
    dtype: torch.dtype,
    device: torch.device,
    most_classes: int | None = None,
) -> OldClasses:
    """Return anchors and memory of all classes in `past`, in column order.

    Records in a row that have as many vectors per class and the same beta share one product.

    Args:
        past: LADA records, oldest first.
        scale: The logit scale.
        width: D.
        dtype: Of the memory's products.
        device: Where they run.
        most_classes: Classes at which a product is full and no record more shares it; None where
            it never is.
    """
    anchors = [torch.zeros(0, width)]
    alphas = [torch.zeros(0)]
    for record in past:
        anchors.append(normalize(checked_tensors(record)["text_features"], dim=-1))
        alpha = LadaSettings.from_mapping(record.settings).alpha
        alphas.append(torch.full((len(record.classes),), alpha))
    return OldClasses(
        anchors=(scale * torch.cat(anchors)).to(device),
        memory=tuple(block.to(device, dtype) for block in _shared_blocks(past, most_classes)),
        alphas=torch.cat(alphas).to(device),
    )


def replay_of(past: Sequence[Record], settings: LadaSettings, *, width: int) -> ReplaySource:
    """Return what is replayed of `past` under `settings.replay`."""
    mixtures = [mixture for record in past for mixture in record_mixtures(record)]
    source = ReplaySource.of(mixtures, width=width)
    if settings.replay == "none":
        return source.of_classes(torch.zeros(0, dtype=torch.int64))
    return source.centres() if settings.replay == "centres" else source


def _shared_blocks(past: Sequence[Record], most_classes: int | None) -> list[MemoryBlock]:
    groups: list[tuple[tuple[int, float], list[Tensor], list[Tensor]]] = []
    for record in past:
        memory, offsets = record.tensors["memory"], record.tensors["memory_offsets"]
        counts = offsets.diff()
        key = int(counts.max()), LadaSettings.from_mapping(record.settings).beta
        if not groups or groups[-1][0] != key or _full(groups[-1][2], most_classes):
            groups.append((key, [], []))
        groups[-1][1].append(memory)
        groups[-1][2].append(counts)
    return [
        MemoryBlock.of(
            torch.cat(memories), grouped_offsets(torch.cat(counts).tolist()), beta=key[1]
        )
        for key, memories, counts in groups
    ]


def _full(counts: Sequence[Tensor], most_classes: int | None) -> bool:
    return most_classes is not None and sum(len(each) for each in counts) >= most_classes
