"""What errors mean to the queue, and in which order a job does its work."""

import asyncio

import pytest

from adapters.errors import (
    ClassNameError,
    ConflictError,
    CorruptionError,
    EncoderMismatchError,
    FeatureError,
    ForkedError,
    ImageError,
    InputError,
    MissingError,
    NacreError,
    NotFoundError,
    SettingsError,
    UnavailableError,
    UnknownOutcomeError,
    WorkerLostError,
)
from tests.support.scenes.submissions import submission
from workers.coordination.jobs import Job, broken
from workers.coordination.settings import AdapterRules
from workers.learning.crew import Assignment, Begun, Publication
from workers.learning.gate import Gate
from workers.logs.errand import Errand
from workers.progress_callbacks import ProgressCallback
from workers.queue.events import Event, Moved
from workers.queue.ticket import Cause, Stage
from workers.tasks.submission import Submission

BIRDS = submission("birds")
CAUSES: list[tuple[Exception, Cause]] = [
    # trying again cannot help
    (InputError("bad"), Cause.INPUT),
    (SettingsError("bad"), Cause.INPUT),
    (ImageError("bad"), Cause.INPUT),
    (ClassNameError("bad"), Cause.INPUT),
    (FeatureError("bad"), Cause.INPUT),
    (EncoderMismatchError("bad"), Cause.INPUT),
    # an input error by its type, but it is another stage's work that is missing
    (NotFoundError("gone"), Cause.MISSING),
    (ConflictError("moved"), Cause.MOVED),
    # unavailable by its type, but it may be the work's own fault in the end
    (WorkerLostError("died"), Cause.LOSS),
    (UnavailableError("away"), Cause.OUTAGE),
    (MissingError("denied"), Cause.OUTAGE),
    (ForkedError("lost"), Cause.OUTAGE),
    # the next attempt begins by looking whether it happened
    (UnknownOutcomeError("lost"), Cause.OUTAGE),
    (CorruptionError("damaged"), Cause.FAULT),
    (NacreError("something"), Cause.FAULT),
    (MemoryError(), Cause.FAULT),
    (ValueError("nobody expected this"), Cause.FAULT),
]


@pytest.mark.parametrize(("error", "cause"), CAUSES)
def test_an_error_tells_what_is_to_be_done(error: Exception, cause: Cause) -> None:
    event = broken("birds-1", error, progressed=True)
    assert (event.cause, event.submission_id, event.progressed) == (cause, "birds-1", True)
    assert event.error == (error.message if isinstance(error, NacreError) else repr(error))


class Diary:
    """A crew, a queue and a store that note in which order they are called."""

    def __init__(self, begun: Begun, published: Publication) -> None:
        self.entries: list[str] = []
        self.assignments: list[Assignment] = []
        self._begun = begun
        self._published = published

    def job(self) -> Job:
        return Job(
            crew=self,
            submission=BIRDS,
            errand=lambda: Errand(submission_id=BIRDS.submission_id, stage="training"),
            tell=self._tell,
            begun=lambda begun: self.entries.append(f"begun on {begun.parent}"),
            durable=self._durable,
            progress=lambda _done, _total: None,
        )

    def _tell(self, event: Event) -> None:
        assert isinstance(event, Moved)
        on = "" if event.parent is None else f" on {event.parent}"
        self.entries.append(f"{event.stage.value}{on}")

    async def _durable(self) -> None:
        self.entries.append("durable")

    async def embed(
        self, submission: Submission, progress: ProgressCallback, *, method: str
    ) -> None:
        del submission, progress
        self.entries.append(f"embed for {method}")

    async def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        del submission
        self.entries.append(f"begin for {owner} since {since}")
        return self._begun

    async def train(self, assignment: Assignment, progress: ProgressCallback) -> None:
        del progress
        self.assignments.append(assignment)
        self.entries.append("train")

    async def compress(self, assignment: Assignment) -> None:
        self.assignments.append(assignment)
        self.entries.append("compress")

    async def publish(self, assignment: Assignment) -> Publication:
        self.assignments.append(assignment)
        self.entries.append("publish")
        return self._published


RULES = AdapterRules(method="other", gate=Gate(mode="manual"))


def learnt(diary: Diary, *, since: int | None = None) -> Event:
    return asyncio.run(diary.job().learn(RULES, owner="anna", since=since))


def test_before_anything_is_published_it_is_durable_on_what_it_was_learnt() -> None:
    diary = Diary(Begun(parent=4, epoch=9, encoder="tiny"), Publication(version=5))
    event = learnt(diary)
    assert event == Moved(submission_id=BIRDS.submission_id, stage=Stage.PUBLISHED, version=5)
    assert diary.entries == [
        "begin for anna since None",
        "begun on 4",
        "training on 4",
        "train",
        "compressing",
        "compress",
        "checking",
        "durable",
        "publish",
    ]
    expected = Assignment(
        submission=BIRDS, method="other", encoder="tiny", gate=RULES.gate, parent=4, epoch=9
    )
    assert diary.assignments == [expected] * 3


PUBLISHED = [
    (Publication(version=5), Stage.PUBLISHED),
    # people have not promoted it yet, but the next task builds on it
    (Publication(version=5, note="promotion is by hand"), Stage.PUBLISHED),
    (Publication(version=5, built_upon=False, note="it forgets birds"), Stage.REJECTED),
]


@pytest.mark.parametrize(("published", "stage"), PUBLISHED)
def test_what_was_published_before_is_neither_learnt_nor_published_again(
    published: Publication, stage: Stage
) -> None:
    diary = Diary(
        Begun(parent=5, epoch=9, encoder="tiny", published=published), Publication(version=0)
    )
    event = learnt(diary, since=4)
    assert diary.entries == ["begin for anna since 4"]
    assert event == Moved(
        submission_id=BIRDS.submission_id, stage=stage, version=5, note=published.note
    )


@pytest.mark.parametrize(("published", "stage"), PUBLISHED)
def test_what_the_gate_says_is_told(published: Publication, stage: Stage) -> None:
    event = learnt(Diary(Begun(parent=0, epoch=1, encoder="tiny"), published))
    assert isinstance(event, Moved)
    assert (event.stage, event.note) == (stage, published.note)


def test_what_is_embedded_waits_for_its_turn() -> None:
    diary = Diary(Begun(parent=0, epoch=1, encoder="tiny"), Publication(version=1))
    event = asyncio.run(diary.job().embed(RULES))
    assert event == Moved(submission_id=BIRDS.submission_id, stage=Stage.WAITING)
    assert diary.entries == ["embed for other"]
