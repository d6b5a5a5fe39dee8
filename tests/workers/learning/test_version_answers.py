"""What a new version can change of earlier answers, against scoring everything anew."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from adapters.adapter import Adapter, Scores
from adapters.contract.records import Record
from adapters.contract.tiles import OWN_PRODUCTS
from adapters.errors import CorruptionError
from tests.support.fakes.random_records import random_record
from workers.learning.evaluation import Predicted, TaskTestSet
from workers.learning.kept_answers import (
    NOTHING,
    BestAnswers,
    KeptAnswers,
    answers_from_bytes,
    keep_answers,
    read_answers,
)
from workers.learning.version_answers import VersionAnswers
from workers.store import MemoryStore

SCALE, ENCODER, AROUND = 10.0, "synthetic", "as it was"
NAMES = ("a", "b", "c", "d", "e")


def coarse(rows: torch.Tensor) -> torch.Tensor:
    """Return unit rows of a small grid, so that equal anchors, scores and features are common."""
    return normalize((rows * 3).round() + torch.tensor([0.0, 0.0, 4.0]), dim=-1)


def record(name: str, seed: int, merges: tuple[str | None, ...]) -> Record:
    drawn = random_record(
        name, encoder=ENCODER, width=3, classes=2, vectors=2, seed=seed, noun="thing"
    )
    classes = tuple(
        replace(entry, merged_into=into) for entry, into in zip(drawn.classes, merges, strict=True)
    )
    shaped = {name: coarse(drawn.tensors[name]) for name in ("memory", "text_features")}
    return replace(drawn, classes=classes, tensors={**drawn.tensors, **shaped})


def test_set(of: Record, *, seed: int) -> TaskTestSet:
    generator = torch.Generator().manual_seed(seed)
    return TaskTestSet(
        name=of.task,
        classes=of.classes,
        features=coarse(torch.randn(9, 3, generator=generator)),
        labels=torch.arange(9) % 2,
        fingerprint=ENCODER,
    )


test_set.__test__ = False  # type: ignore[attr-defined]


@st.composite
def records(draw: st.DrawFn, name: str) -> Record:
    others = [f"{other}/{number}" for other in NAMES if other != name for number in (0, 1)]
    into = st.none() | st.sampled_from(others)
    merges = (draw(into), draw(into)) if draw(st.booleans()) else (None, None)
    drawn = record(name, draw(st.integers(0, 9)), merges)
    return replace(drawn, temperature=draw(st.sampled_from([None, 0.25, 1.0, 8.0])))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Record, ...]]:
    """Draw versions one after another: a task more, one less, another in its place, an older one,
    or any other list of tasks, as an import brings it.
    """
    versions: list[tuple[Record, ...]] = []
    for _ in range(draw(st.integers(2, 6))):
        back, less = draw(st.booleans()), draw(st.booleans())
        past = versions[-1] if versions else ()
        if versions and back:
            past = draw(st.sampled_from(versions))
        if past and less:
            gone = draw(st.sampled_from([entry.task for entry in past]))
            past = tuple(entry for entry in past if entry.task != gone)
        absent = [name for name in NAMES if name not in {entry.task for entry in past}]
        added = (draw(records(draw(st.sampled_from(absent)))),) if absent else ()
        if past + added:
            versions.append(past + added)
    return versions


def digests(version: tuple[Record, ...]) -> list[str]:
    # Equal records are the same object or drawn alike; a digest of what differs names them.
    return [
        f"{abs(hash((entry.task, entry.seed, entry.classes, entry.temperature))):064x}"[-64:]
        for entry in version
    ]


def answered(adapter: Adapter, names: list[str], kept: KeptAnswers) -> VersionAnswers:
    return VersionAnswers(adapter, names, kept=kept, surroundings=AROUND, logit_scale=SCALE)


def about_one(version: VersionAnswers, task: TaskTestSet) -> BestAnswers:
    (found,) = version.answers([task])
    return found


def scored(adapter: Adapter, task: TaskTestSet) -> Scores:
    return adapter.score(task.features, encoder=ENCODER, logit_scale=SCALE)


@settings(max_examples=100)
@given(histories())
def test_answers_are_those_of_scoring_everything_whatever_was_published_before(
    versions: list[tuple[Record, ...]],
) -> None:
    kept = NOTHING
    for version in versions:
        adapter, classes = Adapter(version), [one for entry in version for one in entry.classes]
        found, anew = (answered(adapter, digests(version), each) for each in (kept, NOTHING))
        for place, entry in enumerate(version):
            task = test_set(entry, seed=entry.seed + place % 2)
            mine, whole = about_one(found, task), about_one(anew, task)
            assert torch.equal(mine.scores, whole.scores)
            assert torch.equal(mine.columns, whole.columns)
            assert torch.allclose(mine.log_sums, whole.log_sums, atol=1e-4)
            everything = Predicted.of(scored(adapter, task))
            assert tuple(classes[column] for column in mine.columns.tolist()) == everything.classes
            (about,) = found.about([task])
            assert about.answers == everything.about(task.truth).answers
            assert about.confidences == pytest.approx(everything.confidences, abs=1e-4)
        kept = answers_from_bytes(found.kept().to_bytes(), "what was kept")


def grown(*names: str) -> tuple[Record, ...]:
    return tuple(record(name, seed, (None, None)) for seed, name in enumerate(names))


def pointing(name: str, cosine: float, into: str | None = None) -> Record:
    """Return a record of one class that an image along the first axis has this cosine with."""
    drawn = random_record(
        name, encoder=ENCODER, width=2, classes=1, vectors=1, seed=0, noun="thing"
    )
    anchors = torch.tensor([[cosine, (1 - cosine**2) ** 0.5]])
    return replace(
        drawn,
        classes=(replace(drawn.classes[0], merged_into=into),),
        settings={**drawn.settings, "alpha": 0.0},
        tensors={**drawn.tensors, "text_features": anchors},
    )


@pytest.mark.parametrize("later", [0.1, 0.505, 0.9])
def test_an_answer_that_only_a_dropped_class_made_the_best_is_given_up(later: float) -> None:
    """Two classes that count as one beat a third; alone each is below it."""
    first, third = pointing("a", 0.5), pointing("b", 0.51)
    before = (first, third, pointing("c", 0.5, into="a/0"))
    after = (first, third, pointing("d", later))
    task = replace(
        test_set(first, seed=0), features=torch.tensor([[1.0, 0.0]]), labels=torch.zeros(1).long()
    )
    kept = answered(Adapter(before), digests(before), NOTHING)
    assert about_one(kept, task).columns.tolist() == [0]
    found = about_one(answered(Adapter(after), digests(after), kept.kept()), task)
    assert found.columns.tolist() == [2 if later > 0.51 else 1]


def check_as_anew(
    after: tuple[Record, ...], tasks: list[TaskTestSet]
) -> list[tuple[BestAnswers, BestAnswers]]:
    """Check that with what the version before has kept answers are those of scoring everything."""
    first = answered(Adapter(after[:-1]), digests(after[:-1]), NOTHING)
    assert len(list(first.answers(tasks))) == len(tasks)
    adapter = Adapter(after)
    found, anew = (answered(adapter, digests(after), each) for each in (first.kept(), NOTHING))
    pairs = list(zip(found.answers(tasks), anew.answers(tasks), strict=True))
    for mine, whole in pairs:
        assert torch.equal(mine.scores, whole.scores)
        assert torch.equal(mine.columns, whole.columns)
    return pairs


@pytest.mark.parametrize("count", [15, 16, 17, 63, 64, 65, 66])
def test_answers_are_those_of_scoring_everything_however_many_records_there_are(
    count: int,
) -> None:
    """However many records a scorer puts into one product."""
    after = grown(*(f"t{number}" for number in range(count + 1)))
    tasks = [test_set(entry, seed=entry.seed) for entry in after[::5]]
    for mine, whole in check_as_anew(after, tasks):
        assert torch.allclose(mine.log_sums, whole.log_sums, atol=1e-4)


class Counting(Adapter):
    """An adapter that notes which tasks it is asked for."""

    asked: list[tuple[str, ...] | None]

    def score(self, *args: object, **options: object) -> object:  # type: ignore[override]
        self.asked.append(options["tasks"])  # type: ignore[arg-type]
        return super().score(*args, **options)  # type: ignore[arg-type]


def counting(version: tuple[Record, ...]) -> Counting:
    adapter = Counting(version)
    adapter.asked = []
    return adapter


def test_one_more_task_is_all_that_old_images_are_scored_with() -> None:
    before, after = grown("a", "b"), grown("a", "b", "c")
    tasks = [test_set(entry, seed=entry.seed) for entry in before]
    first = answered(Adapter(before), digests(before), NOTHING)
    assert len(list(first.answers(tasks))) == 2
    adapter = counting(after)
    second = answered(adapter, digests(after), first.kept())
    assert len(list(second.answers(tasks))) == 2
    assert all(asked is not None and "c" in asked for asked in adapter.asked)
    assert len(adapter.asked) == 2


def wide(count: int) -> tuple[Record, ...]:
    """Return so many records of two classes, without memory: their scores are cosines."""
    drawn = (
        random_record(
            f"t{seed}", encoder=ENCODER, width=512, classes=2, vectors=1, seed=seed, noun="thing"
        )
        for seed in range(count)
    )
    return tuple(
        replace(each, settings={**each.settings, "alpha": 0.0}, seed=seed)
        for seed, each in enumerate(drawn)
    )


def with_images(of: Record, features: torch.Tensor) -> TaskTestSet:
    labels = torch.zeros(len(features), dtype=torch.int64)
    features = normalize(features, dim=-1)
    return replace(test_set(of, seed=0), features=features, labels=labels)


def test_of_many_tasks_those_are_scored_in_tiles_that_a_new_class_comes_near() -> None:
    after = wide(OWN_PRODUCTS + 4)
    new = after[-1].tensors["text_features"]
    tasks = [with_images(entry, entry.tensors["text_features"]) for entry in after[:-1]]
    near = after[3].tensors["text_features"] + new
    tasks[3] = with_images(after[3], near)
    before = after[:-1]
    first = answered(Adapter(before), digests(before), NOTHING)
    assert len(list(first.answers(tasks))) == len(tasks)
    adapter = counting(after)
    second = answered(adapter, digests(after), first.kept())
    found = list(second.answers(tasks))
    assert adapter.asked == [(after[-1].task,)]
    anew = answered(Adapter(after), digests(after), NOTHING)
    for mine, whole in zip(found, anew.answers(tasks), strict=True):
        assert torch.equal(mine.scores, whole.scores)
        assert torch.equal(mine.columns, whole.columns)
        assert torch.allclose(mine.log_sums, whole.log_sums, atol=1e-4)


@pytest.mark.parametrize("nearer", [-1e-6, 0.0, 1e-7, 1e-6])
def test_answers_that_rounding_decides_are_those_of_scoring_everything(nearer: float) -> None:
    """Images lie between an old class and a new one, nearer to the new one or not."""
    after = wide(OWN_PRODUCTS + 8)
    before, rows = after[:-1], [each.tensors["text_features"] for each in after]
    tasks = [
        with_images(entry, (old + (1 + nearer) * new)[None])
        for entry, own in zip(before, rows, strict=False)
        for old in normalize(own, dim=-1)
        for new in normalize(rows[-1], dim=-1)
    ]
    check_as_anew(after, tasks)


@pytest.mark.parametrize("other", [{"surroundings": "elsewhere"}, {"records": ("0" * 64,) * 2}])
def test_what_was_kept_of_something_else_is_not_used(other: dict[str, object]) -> None:
    version = grown("a", "b")
    task = test_set(version[0], seed=1)
    first = answered(Adapter(version), digests(version), NOTHING)
    about_one(first, task)
    adapter = counting(version)
    stale = replace(first.kept(), **other)  # type: ignore[arg-type]
    about_one(answered(adapter, digests(version), stale), task)
    assert adapter.asked == [None]


def test_what_is_kept_is_read_again_and_damage_is_nothing() -> None:
    version, store = grown("a", "b"), MemoryStore()
    found = answered(Adapter(version), digests(version), NOTHING)
    best = about_one(found, test_set(version[0], seed=1))
    assert read_answers(store, "main") is NOTHING
    keep_answers(store, "main", found.kept())
    again = read_answers(store, "main")
    (read,) = again.tasks.values()
    assert torch.equal(read.scores, best.scores) and torch.equal(read.columns, best.columns)
    assert (again.records, again.surroundings) == (tuple(digests(version)), AROUND)
    stored = store.get("measured/main").data
    store.put("measured/main", stored[:-1] + bytes([stored[-1] ^ 1]))
    assert read_answers(store, "main") is NOTHING


def test_scores_and_columns_must_fit_the_images() -> None:
    version = grown("a")
    found = answered(Adapter(version), digests(version), NOTHING)
    about_one(found, test_set(version[0], seed=1))
    kept = found.kept()
    ((digest, best),) = kept.tasks.items()
    short = replace(kept, tasks={digest: replace(best, columns=best.columns[1:])})
    with pytest.raises(CorruptionError, match="a score, a sum and a column per test image"):
        answers_from_bytes(short.to_bytes(), "what was kept")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_kept_scores_that_are_no_numbers_are_damage(score: float) -> None:
    best = BestAnswers(
        scores=torch.tensor([score]), columns=torch.tensor([0]), log_sums=torch.zeros(1)
    )
    kept = KeptAnswers(surroundings="a" * 64, tasks={"b" * 64: best})
    with pytest.raises(CorruptionError, match="a score, a sum and a column"):
        answers_from_bytes(kept.to_bytes(), "what was kept")
