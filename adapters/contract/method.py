"""The interfaces of a continual-learning method: Method, Learner (training) and Scorer (inference).

A method is stateless. What it learns is in records; what is half learnt is in a learner, which can
be stopped between any two steps and written down. `adapters.methods` lists all methods.

Shapes: N images · P paths through the image tower · D feature width · C classes of a record ·
S classes of all records asked for
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.mixture import Mixture
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings
from adapters.contract.shared_settings import check_shared
from adapters.contract.task_features import Spread, TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError
from adapters.towers.image_tower import FrozenImageTower, ImageTower


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Learnt:
    """What a learner ends with: tensors on the CPU.

    Attributes:
        tensors: For the task's record.
        shared: For the state that the version's tasks share; None for methods without any.
    """

    tensors: Mapping[str, Tensor]
    shared: Mapping[str, Tensor] | None = None


class Learner(Protocol):
    """A task being learnt, one step at a time. It owns its parameters; nothing else changes."""

    @property
    def total_steps(self) -> int:
        """Steps that the whole training takes; 0 where there is nothing to train."""

    @property
    def steps_done(self) -> int:
        """Steps taken so far."""

    def step(self) -> float:
        """Take the next step and return its loss; an error once all steps are done."""

    def checkpoint(self) -> bytes:
        """Return everything that `Method.resume` needs to go on as if nothing had happened."""

    def learnt(self) -> Learnt:
        """Return what has been learnt up to now."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Query:
    """What a scorer is asked.

    Attributes:
        paths: (N, P, D), unit rows: the images along every path of the version's tower, as
            `Scorer.paths` has made them. Most towers have one.
        text_logits: (N, S), scale times cosine of the first path with the anchors.
        positions: Which records, in ascending order.
        logit_scale: That scale; other cosines that are scores are multiplied by it too.
    """

    paths: Tensor
    text_logits: Tensor
    positions: Sequence[int]
    logit_scale: float

    @property
    def features(self) -> Tensor:
        """The images along the first path, (N, D)."""
        return self.paths[:, 0]


class Scorer(ABC):
    """The records of a version, ready to score images. Immutable."""

    @abstractmethod
    def extended(self, record: Record) -> "Scorer":
        """Return a scorer of one more record, sharing everything with this one."""

    def extended_by(self, records: Iterable[Record]) -> "Scorer":
        """Return a scorer of more records, each of which is read when it comes, in their order."""
        scorer: Scorer = self
        for record in records:
            scorer = scorer.extended(record)
        return scorer

    def paths(self, features: Tensor) -> Tensor:
        """Return images as text and scores are compared with them: (N, P, D), unit rows.

        What the version's tower gives, unless the method changes features behind it.

        Args:
            features: (N, Q, D), unit rows, along the paths of the tower.
        """
        return features

    @abstractmethod
    def anchors(self, position: int) -> Tensor:
        """Return the text side of record `position`: (C, D) unit rows."""

    @abstractmethod
    def scores(self, query: Query) -> Tensor:
        """Return the final scores over the classes of the records at `query.positions`.

        Returns:
            (N, S), logits: their softmax are probabilities. A record's columns may not depend on
            the positions.
        """


class Method(ABC):
    """A continual-learning method.

    Attributes:
        name: Its name in the configuration.
        shared: Names of settings that all records of an adapter have to share.
        scores_stay: Whether the scores of a record's classes stay what they are, bit for bit, when
            records follow, and the tower with them: then a new version is measured by its new
            classes alone.
        tempered: Whether the softmax of its scores does not say as it comes how probable an answer
            is, and a temperature that is fitted with each task helps.
        takes_over: Whether its scorers keep all that they need of a record, so that the tensors of
            those that they were made of may leave memory.
        rejects: Whether its records tell how the encoder's features spread about the class means,
            by which an image of no learnt class is told (`spread`, `adapters.familiarity`).
        scores_anywhere: Whether its scorers work on the device where the records' tensors are;
            those of other methods are given tensors on the CPU.
        settings_type: Its settings, for whoever describes them; None where nobody says.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[MethodSettings] | None] = None
    shared: ClassVar[tuple[str, ...]] = ()
    scores_stay: ClassVar[bool] = False
    takes_over: ClassVar[bool] = False
    scores_anywhere: ClassVar[bool] = False
    tempered: ClassVar[bool] = False
    rejects: ClassVar[bool] = False

    @abstractmethod
    def check_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return `settings` complete with defaults; raise SettingsError where they are wrong."""

    def check_follows(self, settings: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        """Raise SettingsError unless an adapter learnt with `known` can go on with `settings`.

        Args:
            settings: Complete with defaults, of the task that is to be learnt.
            known: Of an earlier one; it may be older than some settings, which are then left out.
        """
        names = [name for name in self.shared if name in known]
        check_shared([known, settings], names=names)

    def check_tower(self, visual: Callable[[], Any], settings: Mapping[str, Any]) -> None:
        """Raise SettingsError unless a task with `settings` can be learnt on an encoder.

        For methods that change the image tower; all others learn on any.

        Args:
            visual: Returns the encoder's image tower, of which the weights may be missing; None
                where it is not known here. Called only where the answer depends on it.
            settings: Complete or not.
        """
        del visual, settings

    def check_any_task(self, visual: Callable[[], Any]) -> None:
        """Raise SettingsError where no task can be learnt on an encoder, whatever its settings.

        For methods that change the image tower.

        Args:
            visual: As for `check_tower`.
        """
        del visual

    def check_shared(self, shared: SharedState) -> None:
        """Raise CorruptionError unless the tensors of a shared state fit each other.

        For methods that have one.
        """
        del shared

    @abstractmethod
    def start(self, inputs: TrainingInputs) -> Learner:
        """Return a learner of `inputs.task` that has taken no step yet.

        Raises:
            SettingsError: a setting is unknown or impossible, or a record is another method's.
            FeatureError: features of another width than the records', or bad text features.
            EncoderMismatchError: another encoder than the records'.
            ClassNameError: a class id that a record has already.
        """

    @abstractmethod
    def resume(self, checkpoint: bytes, inputs: TrainingInputs) -> Learner:
        """Return the learner that wrote `checkpoint`, ready for its next step.

        Settings and seed are those of the checkpoint.

        Raises:
            CorruptionError: not a checkpoint of this method.
            InputError: a checkpoint of another task or other records.
        """

    def views(self, settings: Mapping[str, Any]) -> int:
        """Return how many cached views per image the method learns from, view 0 included."""
        self.check_settings(settings)
        return 1

    @abstractmethod
    def mixture_components(self, settings: Mapping[str, Any]) -> int:
        """Return how many mixture components `record` wants per class; 0 for no mixtures."""

    @abstractmethod
    def record(
        self,
        task: TaskFeatures,
        learnt: Learnt,
        mixtures: Sequence[Mixture],
        *,
        settings: Mapping[str, Any],
        seed: int,
    ) -> Record:
        """Return the record of `task`, given one mixture per class where they are wanted."""

    def keeping(self, memory: MemoryFormat) -> "Method":
        """Return this method with scorers that keep memory vectors in the format `memory`.

        Itself for methods without any, whose scorers keep what records hold.
        """
        del memory
        return self

    def spread(self, record: Record) -> Spread:
        """Return how images lie about the class means of a record; for methods that reject.

        Raises:
            CorruptionError: the record does not tell it.
        """
        raise CorruptionError(f"record {record.task!r}: method {self.name!r} tells of no spread")

    def kept(self, covariance: Tensor) -> Tensor:
        """Return a covariance, (D, D) float64, as a record keeps it; as it is where it does."""
        return covariance

    @abstractmethod
    def scorer(self, state: AdapterState) -> Scorer:
        """Return a scorer of the records of `state`, in their order."""

    def fingerprint(self, state: AdapterState) -> str:
        """Return the fingerprint of the features that a version with `state` scores.

        That of the encoder, unless the method changes the image tower; then everything that the
        features depend on besides it must be in there. `state` has at least one record.
        """
        return state.records[0].encoder

    def image_tower(self, base: FrozenImageTower, state: AdapterState) -> ImageTower:
        """Return the tower through which a version with `state` reads images.

        Its fingerprint is `fingerprint(state)`. `base` itself, unless the method changes it.
        """
        del state
        return base
