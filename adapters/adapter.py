"""Adapter: inference with an ordered list of records, which say which class an image shows.

The rule itself is in `adapters.contract.rule`.

Shapes: N images · D feature width · S seen classes · U unseen classes
"""

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.class_entry import ClassEntry
from adapters.contract.merging import fold
from adapters.contract.method import Method, Query
from adapters.contract.placement import CPU, Placement
from adapters.contract.records import Record
from adapters.contract.rule import AnchorRows, Anchors, AnchorTiles, combined
from adapters.contract.task_features import check_encoder, check_features
from adapters.contract.tiles import OWN_PRODUCTS
from adapters.errors import FeatureError, NotFoundError, SettingsError
from adapters.methods import method_named
from adapters.towers.image_tower import FrozenImageTower, ImageTower


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UnseenClasses:
    """Classes that no record has learnt, known by their text features alone.

    Attributes:
        classes: U classes.
        text_features: (U, D) float32, of any length other than zero.
        anchors: The same as unit rows; computed here.

    Raises:
        FeatureError: not one finite feature per class.
    """

    classes: tuple[ClassEntry, ...]
    text_features: Tensor
    anchors: AnchorRows = field(init=False)

    def __post_init__(self) -> None:
        if len(self.classes) != len(self.text_features):
            raise FeatureError(
                f"unseen classes: expected {len(self.classes)} text features, found "
                f"{len(self.text_features)}"
            )
        rows = normalize(self.text_features, dim=-1)
        check_features(rows, dims=2)
        object.__setattr__(self, "anchors", AnchorRows.of(rows))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """Scores of images over candidate classes; merged classes are one candidate.

    Attributes:
        values: (N, S + U) float32; minus infinity for unseen classes where a seen class has the
            highest text logit. Their argmax is the prediction, their softmax the probabilities.
        classes: The S + U candidates in the order of the columns.
        seen: S.
    """

    values: Tensor
    classes: tuple[ClassEntry, ...]
    seen: int

    @property
    def winners(self) -> Tensor:
        """The predicted columns, (N,) int64; the first one where scores tie."""
        return self.values.argmax(dim=1)

    @property
    def log_sums(self) -> Tensor:
        """Log Σ exp over the candidates, (N,) float32: what makes probabilities of scores."""
        return self.values.logsumexp(dim=1)

    @property
    def confidences(self) -> Tensor:
        """The probabilities of the predicted columns, (N,) float32."""
        return (self.values.amax(dim=1) - self.log_sums).exp()


class _Candidates(NamedTuple):
    """The seen candidates of a question.

    Attributes:
        positions: Of their records.
        anchors: Of all of them.
        classes: In the order of the columns.
        merged: Whether some of them count as others.
    """

    positions: tuple[int, ...]
    anchors: Anchors
    classes: tuple[ClassEntry, ...]
    merged: bool

    def extended(self, record: Record, anchors: AnchorRows, tiles: AnchorTiles) -> Self:
        """Return these and the classes of one more record."""
        return self._replace(
            positions=(*self.positions, len(self.positions)),
            anchors=self.anchors.with_group(anchors, tiles),
            classes=(*self.classes, *record.classes),
            merged=self.merged or _are_merged(record.classes),
        )


class Adapter:
    """An ordered tuple of records of one method. Immutable; `extended` shares what it can.

    Args:
        records: Oldest first; at least one.
        shared: The state that their tasks share, for methods that have one.
        method: The method that learnt them; None finds it by the name in the records.
        placement: Where they are scored, and how memory is kept there.

    Raises:
        SettingsError: no records, records of different methods, or of one that exists for measuring
            only.
        ClassNameError: two records of one class, where a method would count its images twice.
        EncoderMismatchError: records, or a shared state, of different encoders.
        CorruptionError: a record whose tensors do not fit its classes.
    """

    def __init__(
        self,
        records: Sequence[Record],
        *,
        shared: SharedState | None = None,
        method: Method | None = None,
        placement: Placement | None = None,
    ) -> None:
        self._records = _checked(records)
        self._shared = _fitting(shared, records[0])
        self._method = method or method_named(records[0].method)
        self._placement = _possible(placement or Placement(), self._method)
        keeping = self._method.keeping(self._placement.memory)
        self._scorer = keeping.scorer(self._placement.state(self._state))
        self._anchors: tuple[AnchorRows, ...] = ()
        self._tiles = AnchorTiles()
        self._add_anchors()

    @property
    def records(self) -> tuple[Record, ...]:
        """The records, oldest first."""
        return self._records

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the records' tensors in memory."""
        return sum(record.nbytes for record in self._records)

    @property
    def encoder(self) -> str:
        """Fingerprint of the encoder whose features this adapter scores."""
        return self._records[0].encoder

    @property
    def shared(self) -> SharedState | None:
        """The state that the tasks share; None for methods without any."""
        return self._shared

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the tower whose features are scored: the encoder's, or one made of it."""
        return self._method.fingerprint(self._state)

    def image_tower(self, base: FrozenImageTower) -> ImageTower:
        """Return the tower through which images are read: `base`, or what the method makes of it.

        Raises:
            EncoderMismatchError: `base` is another encoder's than the records'.
        """
        check_encoder(base.fingerprint, expected=self.encoder)
        return self._method.image_tower(base, self._state)

    @property
    def scores_stay(self) -> bool:
        """Whether what it scores stays, bit for bit, when records follow; see `Method`."""
        return self._method.scores_stay and self._shared is None

    def scored_with(self, first: int) -> tuple[str, ...]:
        """Return the names of the tasks that must be asked for to score those from `first` on.

        Besides these they are earlier ones of which a class counts as the same one, or has the same
        anchor: it is the earlier one's logit that both get.

        Args:
            first: Position of a record.
        """
        wanted = {entry.counts_as for record in self._records[first:] for entry in record.classes}
        chosen = [
            position >= first or any(entry.counts_as in wanted for entry in record.classes)
            for position, record in enumerate(self._records)
        ]
        pairs = list(zip(chosen, self._anchors, strict=True))
        keys = {key for is_chosen, anchors in pairs if is_chosen for key in anchors.keys}
        return tuple(
            record.task
            for (is_chosen, anchors), record in zip(pairs, self._records, strict=True)
            if is_chosen or not keys.isdisjoint(anchors.keys)
        )

    @property
    def _state(self) -> AdapterState:
        return AdapterState(records=self._records, shared=self._shared)

    @property
    def width(self) -> int:
        """D, the width of those features."""
        return self._anchors[0].rows.shape[1]

    def extended(self, record: Record) -> Self:
        """Return an adapter with one more record; only the new record is read."""
        grown = copy.copy(self)
        grown.__dict__.pop("fingerprint", None)
        before = grown.__dict__.pop("_all", None)
        if "nbytes" in grown.__dict__:
            grown.__dict__["nbytes"] += record.nbytes
        _check_fits(record, self._records[0])
        grown._records = (*self._records, record)
        grown._scorer = self._scorer.extended(self._placement.record(record))
        grown._add_anchors()
        if before is not None:
            grown.__dict__["_all"] = before.extended(record, grown._anchors[-1], grown._tiles)
        return grown

    def _add_anchors(self) -> None:
        """Take over the anchors of the records that have none yet.

        Those of the first records are products of their own; the others share tiles.
        """
        first = len(self._anchors)
        rows = [self._scorer.anchors(at) for at in range(first, len(self._records))]
        added = AnchorRows.each(rows)
        own = max(OWN_PRODUCTS - first, 0)
        start, tiled = self._tiles.count, []
        for group in added[own:]:
            tiled.append(group._replace(tiled=range(start, start + group.rows.shape[0])))
            start += group.rows.shape[0]
        self._anchors = (*self._anchors, *added[:own], *tiled)
        if tiled:
            self._tiles = self._tiles.extended([group.rows for group in tiled])

    def score(
        self,
        features: Tensor,
        *,
        encoder: str,
        logit_scale: float,
        unseen: UnseenClasses | None = None,
        tasks: Collection[str] | None = None,
    ) -> Scores:
        """Return scores over the candidates: the seen classes, then the unseen ones.

        Args:
            features: (N, D) float32, unit rows, or (N, P, D) along the paths of the version's
                tower; scored where the adapter is placed.
            encoder: Fingerprint of the tower that made them.
            logit_scale: Factor of cosines, about 100 in CLIP.
            unseen: Further candidates.
            tasks: Names of the tasks whose classes are candidates; None for all.

        Raises:
            EncoderMismatchError: features of another tower.
            FeatureError: features of the wrong shape, not finite, or not unit.
            NotFoundError: a task that no record has learnt.
        """
        check_encoder(encoder, expected=self.fingerprint)
        paths = features[:, None] if features.ndim == 2 else features
        check_features(paths, dims=3, width=self.width)
        device = self._placement.device
        paths = self._scorer.paths(paths.detach().to(device, torch.float32))
        candidates = self._all if tasks is None else self._candidates(self._positions(tasks))
        anchors, classes, seen = candidates.anchors, candidates.classes, len(candidates.classes)
        merged = candidates.merged
        if unseen is not None:
            anchors = anchors.with_group(unseen.anchors.to(device))
            classes = (*classes, *unseen.classes)
            merged = merged or _are_merged(unseen.classes)
        text = anchors.logits(paths[:, 0], scale=logit_scale)
        query = Query(
            paths=paths,
            text_logits=text[:, :seen],
            positions=candidates.positions,
            logit_scale=logit_scale,
        )
        scores = self._scorer.scores(query)
        values = combined(text, scores)
        if not merged:
            return Scores(values=values, classes=classes, seen=seen)
        return _one_per_answer(values, classes, seen=seen)

    def predict(
        self,
        features: Tensor,
        *,
        encoder: str,
        logit_scale: float,
        unseen: UnseenClasses | None = None,
        tasks: Collection[str] | None = None,
    ) -> tuple[ClassEntry, ...]:
        """Return the predicted class of each image; arguments and errors as in `score`."""
        scores = self.score(
            features, encoder=encoder, logit_scale=logit_scale, unseen=unseen, tasks=tasks
        )
        return tuple(scores.classes[column] for column in scores.winners.tolist())

    @cached_property
    def _all(self) -> _Candidates:
        # Found once: with ten thousand classes it would take longer than their scores.
        # A record that is added extends it.
        return self._candidates(range(len(self._records)))

    def _candidates(self, positions: Sequence[int]) -> _Candidates:
        classes = tuple(
            entry for position in positions for entry in self._records[position].classes
        )
        return _Candidates(
            positions=tuple(positions),
            anchors=Anchors([self._anchors[position] for position in positions], self._tiles),
            classes=classes,
            merged=_are_merged(classes),
        )

    def _positions(self, tasks: Collection[str]) -> list[int]:
        known = {record.task for record in self._records}
        for task in tasks:
            if task not in known:
                listed = ", ".join(sorted(known)) or "none"
                raise NotFoundError(f"task {task!r}: not in this adapter; it has {listed}")
        return [index for index, record in enumerate(self._records) if record.task in tasks]


def _are_merged(classes: Sequence[ClassEntry]) -> bool:
    return any(entry.merged_into for entry in classes)


def _one_per_answer(values: Tensor, classes: tuple[ClassEntry, ...], *, seen: int) -> Scores:
    folded = fold(values, classes)
    return Scores(
        values=folded.values,
        classes=tuple(classes[column] for column in folded.columns),
        seen=sum(column < seen for column in folded.columns),
    )


def _fitting(shared: SharedState | None, record: Record) -> SharedState | None:
    """Return `shared`; an error where it belongs to another method or encoder than `record`."""
    if shared is None:
        return None
    if shared.method != record.method:
        raise SettingsError(
            f"shared state: expected one of method {record.method!r}, as the records are, found "
            f"one of {shared.method!r}",
            expected=record.method,
            found=shared.method,
        )
    check_encoder(shared.encoder, expected=record.encoder)
    return shared


def _checked(records: Sequence[Record]) -> tuple[Record, ...]:
    if not records:
        raise SettingsError("adapter: expected at least one record, found none")
    for record in records[1:]:
        _check_fits(record, records[0])
    return tuple(records)


def _check_fits(record: Record, first: Record) -> None:
    """Raise unless `record` is of the encoder and the method of the `first` one."""
    check_encoder(record.encoder, expected=first.encoder)
    if record.method != first.method:
        raise SettingsError(
            f"adapter: expected records of method {first.method!r}, found {record.method!r} in "
            f"{record.task!r}"
        )


def _possible(placement: Placement, method: Method) -> Placement:
    """Return `placement`, or the same on the CPU for a method that scores nowhere else."""
    return placement if method.scores_anywhere else replace(placement, device=CPU)
