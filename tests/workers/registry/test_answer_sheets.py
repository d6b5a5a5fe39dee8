"""Answer sheets: kept with a version, carried with it, removed with a purged task."""

import gzip
import random
from pathlib import Path

import pytest

from adapters.errors import CorruptionError, NotFoundError
from adapters.mistakes import Most, SetAnswers
from tests.support.scenes.registry import ANNA, adapter, learn, with_answers
from workers.formats.documents import seal
from workers.learning.version_mistakes import version_mistakes
from workers.registry import (
    AnsweredTask,
    AnswerSheet,
    RegisteredAdapter,
    collect,
    diff,
    drop,
    export_version,
    import_version,
    purge,
    verify,
)
from workers.registry.documents.answer_sheet import (
    MOST_BYTES,
    sheet_from_bytes,
    sheet_to_bytes,
)
from workers.store import MemoryStore

NAMES = {"a/0": "gull", "a/1": "tern", "b/0": "dhow"}


def answered(task: str, truth: str, found: str, *, submission: str = "") -> AnsweredTask:
    """Return answers about images; a digit is a class of `task`, a letter with one of another."""
    size = len(truth)
    return AnsweredTask(
        task=task,
        submission=submission or f"{task}-1",
        answers=SetAnswers(
            truth=tuple(f"{task}/{key}" for key in truth),
            answers=tuple(f"{task}/{key}" for key in found),
            confidences=tuple((size - place) / (size + 1) for place in range(size)),
        ),
    )


def sheet(*tasks: AnsweredTask, candidates: int = 3) -> AnswerSheet:
    return AnswerSheet(candidates=candidates, names=NAMES, tasks=tasks)


FIRST = sheet(answered("a", "0011", "0101"), candidates=2)
SECOND = sheet(answered("a", "0011", "0010"), answered("b", "00", "00"))


@pytest.fixture
def main() -> RegisteredAdapter:
    """Return an adapter with versions 1 (a) and 2 (a, b), each with its answers."""
    main = adapter(MemoryStore())
    with_answers(main, "a", FIRST)
    with_answers(main, "b", SECOND)
    return main


def sheets(main: RegisteredAdapter) -> int:
    return sum("/answers/" in listed.key for listed in main.objects.store.list("adapters/"))


def test_a_sheet_is_read_as_it_was_written_up_to_a_thousandth(main: RegisteredAdapter) -> None:
    read = main.answer_sheet(2)
    assert read is not None
    assert (read.candidates, read.names) == (3, {"a/0": "gull", "a/1": "tern", "b/0": "dhow"})
    for mine, written in zip(read.tasks, SECOND.tasks, strict=True):
        assert (mine.task, mine.submission) == (written.task, written.submission)
        assert mine.answers.truth == written.answers.truth
        assert mine.answers.answers == written.answers.answers
        assert mine.answers.confidences == pytest.approx(written.answers.confidences, abs=5e-4)


def test_an_image_takes_few_bytes() -> None:
    draw = random.Random(1)
    keys = [str(draw.randrange(10)) for _ in range(5_000)]
    found = [key if draw.random() < 0.8 else str(draw.randrange(10)) for key in keys]
    task = AnsweredTask(
        task="t",
        submission="t-1",
        answers=SetAnswers(
            truth=tuple(f"t/{key}" for key in keys),
            answers=tuple(f"t/{key}" for key in found),
            confidences=tuple(draw.random() ** 0.2 for _ in keys),
        ),
    )
    names = {f"t/{key}": f"thing {key}" for key in range(10)}
    content = sheet_to_bytes(AnswerSheet(candidates=10, names=names, tasks=(task,)))
    assert content is not None
    assert len(content) / 5_000 < 3.5


def test_a_sheet_is_verified_kept_and_carried(main: RegisteredAdapter, tmp_path: Path) -> None:
    assert verify(main.objects.store, "main").clean
    collect(main, now=10.0**12, grace_s=0.0, dry_run=False)
    assert sheets(main) == 2
    export_version(main, 2, tmp_path / "two.tar")
    other = adapter(MemoryStore(), seed=1)
    import_version(other, tmp_path / "two.tar", by=ANNA)
    assert other.answer_sheet(1) == main.answer_sheet(2)


def test_a_damaged_sheet_is_found(main: RegisteredAdapter) -> None:
    store = main.objects.store
    (key, *_) = [listed.key for listed in store.list("adapters/") if "/answers/" in listed.key]
    data = store.get(key).data
    store.put(key, data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    assert [problem.key for problem in verify(store, "main").problems] == [key]


def test_a_purge_removes_the_answers_of_all_versions_with_the_task(
    main: RegisteredAdapter,
) -> None:
    drop(main, "a", by=ANNA, promoted=True)
    with_answers(main, "c", sheet(answered("b", "00", "00")))
    keys = purge(main, "a", by=ANNA).keys
    assert sum("/answers/" in key for key in keys) == 2
    assert (main.answer_sheet(1), main.answer_sheet(2)) == (None, None)
    kept = main.answer_sheet(4)
    assert kept is not None
    assert "a/0" not in kept.names
    assert verify(main.objects.store, "main").clean


def test_what_a_purge_has_left_behind_is_garbage(main: RegisteredAdapter) -> None:
    store = main.objects.store
    before = {listed.key: store.get(listed.key).data for listed in store.list("adapters/")}
    drop(main, "a", by=ANNA, promoted=True)
    purge(main, "a", by=ANNA)
    for key, data in before.items():
        if "/answers/" in key:
            store.put(key, data)
    collect(main, now=10.0**12, grace_s=0.0, dry_run=False)
    assert sheets(main) == 0


def test_a_difference_names_images_won_and_lost_and_the_candidates(
    main: RegisteredAdapter,
) -> None:
    found = diff(main, 1, 2)
    assert found.candidates == (2, 3)
    assert list(found.comparisons) == ["a"]
    compared = found.comparisons["a"]
    assert [image.place for image in compared.won] == [1, 2]
    assert [image.place for image in compared.lost] == [3]


def test_other_images_under_the_same_name_are_not_compared(main: RegisteredAdapter) -> None:
    other = sheet(answered("a", "0011", "0011", submission="a-2"))
    drop(main, "b", by=ANNA)
    with_answers(main, "c", other)
    assert diff(main, 1, "head").comparisons == {}


def test_without_answers_there_is_a_difference_all_the_same() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    found = diff(main, 1, 2)
    assert found.comparisons == {}
    assert found.candidates == (found.before.class_count, found.after.class_count)


def test_mistakes_are_told_without_measuring(main: RegisteredAdapter) -> None:
    found = version_mistakes(main, "head", most=Most(images=1))
    assert list(found.tasks) == ["a", "b"]
    assert (found.candidates, found.submissions["a"]) == (3, "a-1")
    (image,) = found.tasks["a"].shown
    assert (image.place, image.truth, image.answer) == (3, "a/1", "a/0")
    assert found.tasks["b"].wrong == 0
    assert list(version_mistakes(main, 1, truth=["a/1"]).tasks["a"].shown) == [
        image for image in version_mistakes(main, 1).tasks["a"].shown if image.truth == "a/1"
    ]


def test_what_is_not_there_is_named(main: RegisteredAdapter) -> None:
    with pytest.raises(NotFoundError, match="of a, b, found 'birds'"):
        version_mistakes(main, 2, task="birds")
    with pytest.raises(NotFoundError, match="no test image is of class 'gull'"):
        version_mistakes(main, 2, answer=["gull"])
    drop(main, "b", by=ANNA)
    with pytest.raises(
        NotFoundError, match=r"answers of main@3 were not kept.*`nacre drop`.*--versions 3"
    ):
        version_mistakes(main, "head")


def _of(fields: dict[str, object]) -> bytes:
    return gzip.compress(seal(fields))


TASK = {"task": "a", "submission": "a-1", "truth": [0], "answers": [-1], "thousandths": [900]}


@pytest.mark.parametrize(
    "changes",
    [
        {"answers": [1]},
        {"answers": [-2]},
        {"truth": [0, 0]},
        {"thousandths": [1001]},
        {"thousandths": [-1]},
        {"answers": ["0"]},
    ],
)
def test_places_and_confidences_must_fit(changes: dict[str, object]) -> None:
    fields = {"candidates": 1, "classes": [["a/0", "gull"]], "tasks": [TASK | changes]}
    with pytest.raises(CorruptionError, match="the sheet is damaged"):
        sheet_from_bytes(_of(fields), "the sheet")


def test_a_task_is_in_a_sheet_once() -> None:
    fields = {"candidates": 1, "classes": [["a/0", "gull"]], "tasks": [TASK, TASK]}
    with pytest.raises(CorruptionError, match="a task twice"):
        sheet_from_bytes(_of(fields), "the sheet")


def test_a_sheet_is_not_unpacked_beyond_its_bound() -> None:
    bomb = gzip.compress(b" " * (MOST_BYTES + 1))
    with pytest.raises(CorruptionError, match="one gzip of at most"):
        sheet_from_bytes(bomb, "the sheet")
    whole = sheet_to_bytes(FIRST)
    assert whole is not None
    for damaged in (whole[:-1], whole + b"x"):
        with pytest.raises(CorruptionError, match="one gzip of at most"):
            sheet_from_bytes(damaged, "the sheet")
