"""Adapter: inference with an ordered list of records, which say which class an image shows.

The rule itself is in `adapters.contract.rule`.

Shapes: N images · D feature width · S seen classes · U unseen classes
"""

import copy
from collections.abc import Collection, Iterable, Iterator, Sequence
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
from adapters.contract.thresholds import MOST_RATE, check_rate
from adapters.contract.tiles import OWN_PRODUCTS
from adapters.errors import FeatureError, InputError, NotFoundError, SettingsError
from adapters.familiarity import Familiarities, Verdict, verdicts
from adapters.methods import METHODS, method_named
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
            highest text logit. Their argmax is the prediction.
        classes: The S + U candidates in the order of the columns.
        seen: S.
        temperatures: (S + U,) float32, of the candidates' records, 1 for those that have none;
            None where no candidate has one.
    """

    values: Tensor
    classes: tuple[ClassEntry, ...]
    seen: int
    temperatures: Tensor | None = None

    @property
    def winners(self) -> Tensor:
        """The predicted columns, (N,) int64; the first one where scores tie."""
        return self.values.argmax(dim=1)

    @property
    def calibrated(self) -> Tensor:
        """The scores over the temperature of the predicted class, (N, S + U) float32.

        A row has one temperature, so that its order stays. Their softmax are the probabilities.
        """
        if self.temperatures is None:
            return self.values
        return self.values / self.temperatures[self.winners][:, None]

    @property
    def probabilities(self) -> Tensor:
        """The probabilities of the candidates, (N, S + U) float32."""
        return self.calibrated.softmax(dim=1)

    @property
    def log_sums(self) -> Tensor:
        """Log Σ exp of calibrated scores, (N,) float32: what makes probabilities of them."""
        return self.calibrated.logsumexp(dim=1)

    @property
    def confidences(self) -> Tensor:
        """The probabilities of the predicted columns, (N,) float32."""
        calibrated = self.calibrated
        return (calibrated.amax(dim=1) - calibrated.logsumexp(dim=1)).exp()


class _Candidates(NamedTuple):
    """The seen candidates of a question.

    Attributes:
        positions: Of their records.
        anchors: Of all of them.
        classes: In the order of the columns.
        merged: Whether some of them count as others.
        temperatures: Of the records, in the order of the columns; None where no record has one.
    """

    positions: tuple[int, ...]
    anchors: Anchors
    classes: tuple[ClassEntry, ...]
    merged: bool
    temperatures: Tensor | None

    def extended(self, record: Record, anchors: AnchorRows, tiles: AnchorTiles) -> Self:
        """Return these and the classes of one more record."""
        return self._replace(
            positions=(*self.positions, len(self.positions)),
            anchors=self.anchors.with_group(anchors, tiles),
            classes=(*self.classes, *record.classes),
            merged=self.merged or _are_merged(record.classes),
            temperatures=_with_temperature(self.temperatures, len(self.classes), record),
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
        self._familiarities = Familiarities(self._method)
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

    def extended_by(self, records: Iterable[Record]) -> Self:
        """Return an adapter with more records, in their order; each is read when it comes.

        Where the method takes over what it needs, a record's tensors may leave memory when the next
        one is asked for.
        """
        grown = copy.copy(self)
        for name in ("fingerprint", "nbytes", "_all"):
            grown.__dict__.pop(name, None)
        added: list[Record] = []
        grown._scorer = self._scorer.extended_by(self._placed(records, added))
        grown._records = (*self._records, *added)
        grown._add_anchors()
        return grown

    def _placed(self, records: Iterable[Record], added: list[Record]) -> Iterator[Record]:
        """Yield records where they are scored, and note them in `added`."""
        for record in records:
            _check_fits(record, self._records[0])
            added.append(record)
            yield self._placement.record(record)

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
        values, temperatures = combined(text, scores), candidates.temperatures
        if temperatures is not None:
            temperatures = temperatures.to(values.device)
            further = temperatures.new_ones(len(classes) - seen)  # by text alone, as it comes
            temperatures = torch.cat([temperatures, further])
        found = Scores(values=values, classes=classes, seen=seen, temperatures=temperatures)
        return _one_per_answer(found) if merged else found

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

    def verdicts(
        self,
        features: Tensor,
        scores: Scores,
        *,
        rate: float,
        tasks: Collection[str] | None = None,
    ) -> list[Verdict]:
        """Return which images are of none of the classes; see `adapters.familiarity`.

        Nothing that is learnt later changes what a task finds unknown.

        Args:
            features: (N, D) or (N, P, D), as `score` was given them.
            scores: What it has returned.
            rate: Of false alarms: at most so large a share of images of a learnt task is unknown
                to it.
            tasks: As `score` was given them.

        Raises:
            InputError: no rate that was measured, or nothing was.
            FeatureError: features of the wrong shape, not finite, or not unit.
        """
        paths = features[:, None] if features.ndim == 2 else features
        check_features(paths, dims=3, width=self.width)
        if len(paths) != len(scores.values):
            raise FeatureError(
                f"expected features of the {len(scores.values)} images that were scored, found "
                f"{len(paths)}"
            )
        places = range(len(self._records)) if tasks is None else self._positions(tasks)
        records = [self._records[place] for place in places]
        self._check_rate(rate, records)
        by_answer: dict[str, list[Record]] = {}
        winners = scores.winners.tolist()
        wanted = {scores.classes[column].counts_as for column in winners if column < scores.seen}
        for record in records:
            for answer in {entry.counts_as for entry in record.classes} & wanted:
                by_answer.setdefault(answer, []).append(record)
        answered = [
            tuple(by_answer[scores.classes[column].counts_as]) if column < scores.seen else ()
            for column in winners
        ]
        rows = paths[:, 0].detach().to(CPU, torch.float32)
        return verdicts(rows, answered, rate=rate, known=self._familiarities)

    def _check_rate(self, rate: float, records: Sequence[Record]) -> None:
        """Raise InputError unless a rate of false alarms can be had of one of `records`."""
        check_rate(rate)
        if not self._method.rejects:
            able = ", ".join(name for name, method in METHODS.items() if method.rejects)
            raise InputError(
                f"reject: method {self._method.name!r} keeps nothing by which an image of no "
                "learnt class could be told; leave `reject` out, or learn the tasks with a method "
                f"that does: {able}",
                method=self._method.name,
            )
        least = [one.thresholds.least_rate for one in records if one.thresholds is not None]
        if not least and records:
            listed = ", ".join(record.task for record in records[:3])
            raise InputError(
                "reject: nothing was measured when these tasks were learnt, by an earlier release "
                f"or from fewer than four images: {listed}; submit them again, each with "
                "`replaces: ` and its own name in its task file, or leave `reject` out",
                task=records[0].task,
            )
        if least and rate < min(least):
            raise InputError(
                f"reject: expected a rate of false alarms that was measured, {min(least):g} to "
                f"{MOST_RATE}, found {rate:g}; a lower one takes more training images",
                reject=rate,
                least=min(least),
            )

    @cached_property
    def _all(self) -> _Candidates:
        # Found once: with ten thousand classes it would take longer than their scores.
        # A record that is added extends it.
        return self._candidates(range(len(self._records)))

    def _candidates(self, positions: Sequence[int]) -> _Candidates:
        classes = tuple(
            entry for position in positions for entry in self._records[position].classes
        )
        temperatures, columns = None, 0
        for record in (self._records[position] for position in positions):
            temperatures = _with_temperature(temperatures, columns, record)
            columns += len(record.classes)
        return _Candidates(
            positions=tuple(positions),
            anchors=Anchors([self._anchors[position] for position in positions], self._tiles),
            classes=classes,
            merged=_are_merged(classes),
            temperatures=temperatures,
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


def _with_temperature(before: Tensor | None, columns: int, record: Record) -> Tensor | None:
    """Return the temperatures of so many `columns` and those of the classes of one more record.

    Args:
        before: (columns,), or None where none of them has one.
        columns: How many there are.
        record: What follows.
    """
    if before is None and record.temperature is None:
        return None
    earlier = torch.ones(columns) if before is None else before
    own = torch.full((len(record.classes),), record.temperature or 1.0)
    return torch.cat([earlier, own])


def _one_per_answer(scores: Scores) -> Scores:
    folded = fold(scores.values, scores.classes)
    columns, temperatures = list(folded.columns), scores.temperatures
    return Scores(
        values=folded.values,
        classes=tuple(scores.classes[column] for column in columns),
        seen=sum(column < scores.seen for column in columns),
        temperatures=None if temperatures is None else temperatures[columns],
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
