"""Tasks learnt twice, once by whoever dies on the way: the versions, and what they answer."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tests.support.drivers.learning import carried_out, submitted
from tests.support.drivers.operations import Aim, Target
from tests.support.fakes.faulty import MortalStore
from workers.encoding.encoder import Encoder
from workers.images.decode import decode_image
from workers.learning.handover import PREFIX as WORK
from workers.queue.ticket import Stage
from workers.registry import Author, Registry
from workers.registry.record_cache import Versions
from workers.serving.predictor import Candidate, PredictionRequest, Predictor, Question
from workers.store import ObjectStore
from workers.store.testing import Fault

CHECKPOINT_EVERY = 3
"""Steps from one checkpoint to the next: so few that small tasks have some."""


@dataclass(frozen=True, kw_only=True)
class LearntTwice:
    """Some versions of `main`, learnt twice.

    Attributes:
        encoder: Of both.
        undisturbed: A store in which nobody died.
        survivor: One in which the coordinator died once in every task.
        images: Test images of all tasks, as the encoder reads them.
        versions: How many there are.
    """

    encoder: Encoder
    undisturbed: ObjectStore
    survivor: ObjectStore
    images: list[Tensor]
    versions: int

    def replica(self, store: ObjectStore) -> Predictor:
        """Return a replica that has found what is in production."""
        predictor = Predictor(self.encoder, Versions(store), adapters=("main",))
        assert predictor.follower("main").follow()
        return predictor

    def check_versions_are_the_same(self) -> None:
        """Check that both have the same versions to the byte, and that nothing is left over."""
        first, second = (
            Registry(store).adapter("main") for store in (self.undisturbed, self.survivor)
        )
        for number in range(1, self.versions + 1):
            one, other = first.manifest(number), second.manifest(number)
            assert [task.record for task in one.tasks] == [task.record for task in other.tasks]
            assert one.shared == other.shared is not None
        assert second.refs().next_version == self.versions + 1
        assert list(self.survivor.list(WORK)) == []

    def check_rollback(self, number: int) -> None:
        """Check that a rollback to `number` answers as that version does, to the bit."""
        expected = answers(self.replica(self.undisturbed), self.images, number)
        predictor = self.replica(self.survivor)
        newest = answers(predictor, self.images)
        assert predictor.version("main").ref.number == self.versions
        assert newest != expected
        assert answers(predictor, self.images, number) == expected
        main = Registry(self.survivor).adapter("main")
        main.rollback(number, by=Author(who="anna", why="the tower moved too far", now=99.0))
        assert predictor.follower("main").follow()
        assert predictor.version("main").ref.number == number
        assert answers(predictor, self.images) == expected
        assert answers(self.replica(self.survivor), self.images) == expected
        assert answers(predictor, self.images, self.versions) == newest


def answers(
    predictor: Predictor, images: list[Tensor], pinned: int | None = None
) -> list[list[Candidate]]:
    """Return all candidates of every image, by one version."""
    version = predictor.version("main", pinned)
    asked = PredictionRequest(adapter="main", question=Question(top_k=10), version=version)
    found = predictor.predict_together(images, [asked] * len(images))
    assert all(isinstance(each, list) for each in found)
    return found  # type: ignore[return-value]


def learn(store: ObjectStore, encoder: Encoder, path: Path, *, method: str, number: int) -> None:
    """Have a task learnt and published as version `number` + 1, from where somebody has died."""
    submission = submitted(store, path, now=float(number), method=method)
    (state,) = carried_out(
        store, encoder, submission, method=method, checkpoint_every=CHECKPOINT_EVERY
    )
    ticket = state.ticket
    assert (ticket.stage, ticket.version) == (Stage.PUBLISHED, number + 1), ticket.failures


def die_learning(
    store: ObjectStore,
    encoder: Encoder,
    path: Path,
    *,
    method: str,
    number: int,
    killed: tuple[Target, Fault],
) -> str:
    """Begin to learn a task, die at an operation of the store, and return the submission's id."""
    submission = submitted(store, path, now=float(number), method=method)
    target, fault = killed
    key = target.kind.replace("ID", submission.submission_id)
    link = MortalStore(store, Aim(Target(target.operation, key, target.occurrence), fault))
    carried_out(
        store, encoder, submission, method=method, link=link, checkpoint_every=CHECKPOINT_EVERY
    )
    assert link.dead
    return submission.submission_id


def read_images(encoder: Encoder, folder: Path) -> list[Tensor]:
    """Return the test images below a folder of tasks, as the encoder reads them."""
    files = sorted(folder.rglob("test/*/*.png"))
    return [encoder.transform(decode_image(each.read_bytes(), origin="")) for each in files]
