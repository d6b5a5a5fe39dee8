"""The gate and `replaces`, with all roles in one process."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import ConflictError
from tests.support.drivers.learning import (
    carried_out,
    learnt_by_hand,
    published_by_hand,
    small_task,
    submitted,
)
from tests.support.scenes.submissions import announced
from workers.encoding.encoder import Encoder
from workers.intake.intake import take_in
from workers.learning.gate import Gate, Mode, Unmeasured
from workers.learning.local_crew import LocalCrew
from workers.learning.publisher import Publisher
from workers.queue.ticket import Stage
from workers.registry import (
    Author,
    RegisteredAdapter,
    Registry,
    drop,
    export_version,
    import_version,
    read_version,
    verify,
)
from workers.registry.documents.accuracy import accuracies_to_bytes
from workers.registry.documents.layout import accuracies_key
from workers.registry.record_cache import Versions
from workers.store import MemoryStore
from workers.tasks.submission import Submission
from workers.tasks.task import load_task

pytestmark = pytest.mark.slow

ANNA = Author(who="anna", why="it is good enough", now=9.0)
STRICT = Gate(mode="gate", min_accuracy=0.5, max_drop=1.0)
MakeTask = Callable[..., Path]


@pytest.fixture(scope="module")
def encoder(remembering: Encoder) -> Encoder:
    return remembering


@pytest.fixture
def make_task(examples: Path, tmp_path: Path) -> MakeTask:
    """Return a function that copies a small task; `confused` ones have wrong test labels."""

    def make(name: str, *, confused: bool = False) -> Path:
        path = small_task(examples, tmp_path, name, classes=2)
        if confused:
            first, second = sorted((path.parent / "test").iterdir())
            spare = first.with_name("spare")
            for source, target in ((first, spare), (second, first), (spare, second)):
                source.rename(target)
        return path

    return make


def main_of(store: MemoryStore) -> RegisteredAdapter:
    return Registry(store).adapter("main")


def tasks_of(store: MemoryStore, version: int | str) -> list[str]:
    return [task.task for task in main_of(store).manifest(version).tasks]


def aliases(store: MemoryStore) -> dict[str, int]:
    return {name: ref.number for name, ref in main_of(store).refs().aliases.items()}


def test_a_version_that_the_gate_refuses_is_kept_and_explained_and_can_be_promoted(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    good = submitted(store, make_task("fashion"), now=1.0)
    bad = submitted(store, make_task("digits", confused=True), now=2.0)
    first, second = (state.ticket for state in carried_out(store, encoder, good, bad, gate=STRICT))
    assert (first.stage, first.note) == (Stage.PUBLISHED, None)
    assert (second.stage, second.version, second.parent) == (Stage.REJECTED, 2, 1)
    assert str(second.note).startswith("accuracy on 'digits' is ")
    assert main_of(store).manifest(2).provenance.notes == {"gate": second.note}
    assert aliases(store) == {"head": 1, "production": 1}
    assert tasks_of(store, 2) == ["fashion", "digits"]
    assert [entry.task for entry in main_of(store).accuracies(2)] == ["fashion", "digits"]
    main_of(store).promote(2, by=ANNA)
    assert aliases(store) == {"head": 1, "production": 2}
    assert verify(store, "main").problems == ()


def test_what_follows_a_refused_version_is_not_built_upon_it(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    tasks = [
        submitted(store, make_task("fashion"), now=1.0),
        submitted(store, make_task("digits", confused=True), now=2.0),
        submitted(store, make_task("clip-art"), now=3.0),
    ]
    states = carried_out(store, encoder, *tasks, gate=replace(STRICT, min_accuracy=0.1))
    assert [state.ticket.stage for state in states][1:] == [Stage.REJECTED, Stage.PUBLISHED]
    assert states[2].ticket.parent == 1
    assert tasks_of(store, "head") == ["fashion", "clip-art"]


def test_a_version_that_forgets_an_earlier_task_is_refused(
    encoder: Encoder, make_task: MakeTask
) -> None:
    """What is remembered of version 1 is that it made no mistake, which it will not hold."""
    store = MemoryStore()
    published_by_hand(store, encoder, submitted(store, make_task("fashion", confused=True)))
    measured = main_of(store).accuracies(1)
    perfect = tuple(replace(entry, accuracy=1.0) for entry in measured)
    manifest = main_of(store).version(1).manifest
    store.put(accuracies_key("main", manifest), accuracies_to_bytes(perfect))
    later = submitted(store, make_task("digits"), now=2.0)
    gate = Gate(mode="gate", max_drop=0.1)
    published = published_by_hand(store, encoder, later, gate=gate)
    assert not published.built_upon
    assert "accuracy on 'fashion' drops from 100.0% to" in str(published.note)
    assert aliases(store) == {"head": 1, "production": 1}


def test_a_gate_measures_a_parent_from_which_a_task_was_dropped(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    for number, name in enumerate(("fashion", "digits")):
        published_by_hand(store, encoder, submitted(store, make_task(name), now=float(number)))
    drop(main_of(store), "digits", by=ANNA, promoted=True)
    assert main_of(store).accuracies("head") == ()
    later = submitted(store, make_task("clip-art"), now=3.0)
    gate = Gate(mode="gate", max_drop=0.9, min_accuracy=0.0)
    published = published_by_hand(store, encoder, later, gate=gate)
    assert published.built_upon, published.note
    assert aliases(store)["production"] == 4


def test_by_hand_every_version_is_built_upon_and_none_is_served(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    tasks = [submitted(store, make_task(name), now=1.0) for name in ("fashion", "digits")]
    states = carried_out(store, encoder, *tasks, gate=Gate(mode="manual"))
    assert [state.ticket.stage for state in states] == [Stage.PUBLISHED] * 2
    assert {state.ticket.note for state in states} == {"promotion is by hand"}
    assert aliases(store) == {"head": 2}
    main_of(store).promote(1, by=ANNA)
    assert aliases(store) == {"head": 2, "production": 1}


def replacing(store: MemoryStore, path: Path, replaced: str, *, seed: int = 0) -> Submission:
    """Submit a task that takes the place of another one."""
    taken = take_in(load_task(path), store, now=9.0, author="anna").submission
    store.delete(taken.key)
    name = f"{taken.task}-fedcba987654"
    return announced(store, replace(taken, submission_id=name, replaces=replaced, seed=seed))


def test_a_task_that_replaces_another_takes_its_place_in_one_version(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    old = submitted(store, make_task("fashion"), now=1.0)
    kept = submitted(store, make_task("digits"), now=2.0)
    carried_out(store, encoder, old, kept)
    new = replacing(store, make_task("clip-art"), "fashion")
    (state,) = carried_out(store, encoder, new)
    assert (state.ticket.stage, state.ticket.version) == (Stage.PUBLISHED, 3)
    assert tasks_of(store, "head") == ["digits", "clip-art"]
    assert tasks_of(store, 2) == ["fashion", "digits"]
    assert main_of(store).refs().next_version == 4
    assert {entry.task for entry in main_of(store).accuracies(3)} == {"digits", "clip-art"}
    move = next(main_of(store).history())
    assert (move.detail["added"], move.detail["dropped"]) == ("clip-art", "fashion")


def test_a_task_can_be_replaced_by_one_of_the_same_name(
    encoder: Encoder, make_task: MakeTask
) -> None:
    """More images, or corrected labels."""
    store = MemoryStore()
    path = make_task("fashion")
    carried_out(store, encoder, submitted(store, path, now=1.0))
    new = replacing(store, path, "fashion", seed=5)
    (state,) = carried_out(store, encoder, new)
    assert (state.ticket.stage, state.ticket.version) == (Stage.PUBLISHED, 2)
    before, after = (main_of(store).manifest(number).tasks for number in (1, 2))
    assert [task.task for task in (*before, *after)] == ["fashion", "fashion"]
    assert before[0].record.sha256 != after[0].record.sha256
    assert after[0].submission == new.submission_id


def test_what_replaces_a_task_is_learnt_as_if_that_had_never_been(
    encoder: Encoder, make_task: MakeTask
) -> None:
    replaced, alone = MemoryStore(), MemoryStore()
    path = make_task("fashion")
    published_by_hand(replaced, encoder, submitted(replaced, path, now=1.0))
    published_by_hand(replaced, encoder, replacing(replaced, path, "fashion", seed=5))
    again = submitted(alone, path, now=1.0)
    published_by_hand(alone, encoder, replace(again, seed=5))
    digests = [
        main_of(store).manifest("head").tasks[0].record.sha256 for store in (replaced, alone)
    ]
    assert digests[0] == digests[1]


def test_a_task_that_replaces_what_is_not_there_fails_with_the_names_that_are(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    carried_out(store, encoder, submitted(store, make_task("fashion"), now=1.0))
    (state,) = carried_out(store, encoder, replacing(store, make_task("digits"), "fashoin"))
    assert state.ticket.stage is Stage.FAILED
    assert "'fashoin', which is not in the head of adapter 'main' (it has: fashion)" in str(
        state.ticket.error
    )
    assert aliases(store) == {"head": 1, "production": 1}


def test_what_has_replaced_a_task_is_known_although_that_is_gone(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    published_by_hand(store, encoder, submitted(store, make_task("fashion"), now=1.0))
    new = replacing(store, make_task("digits"), "fashion")
    published_by_hand(store, encoder, new)
    begun = Publisher(encoder, store, Versions(store)).begin(new, owner="anna", since=1)
    assert begun.published is not None
    assert begun.published.version == 2


def test_the_latest_to_begin_is_the_only_one_that_can_publish(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    entry = submitted(store, make_task("fashion"), now=1.0)
    publisher = Publisher(encoder, store, Versions(store))
    first = publisher.begin(entry, owner="anna", since=None)
    second = publisher.begin(entry, owner="ben", since=0)
    assert (first.parent, first.published) == (second.parent, second.published) == (0, None)
    assert second.epoch == first.epoch + 1
    assert main_of(store).refs().fence.owner == "ben"


UNMEASURED: list[tuple[Unmeasured, bool, str]] = [
    ("reject", False, "nobody knows how well 'fashion' is recognised"),
    ("pass", True, "passed, but nobody knows how well 'fashion' is recognised"),
]


@pytest.mark.parametrize(("setting", "passes", "said"), UNMEASURED)
def test_what_was_imported_without_images_is_not_passed_over_in_silence(
    encoder: Encoder,
    make_task: MakeTask,
    tmp_path: Path,
    setting: Unmeasured,
    passes: bool,
    said: str,
) -> None:
    before, store = MemoryStore(), MemoryStore()
    published_by_hand(before, encoder, submitted(before, make_task("fashion")))
    export_version(main_of(before), "head", tmp_path / "main.tar")
    import_version(Registry(store).create("main"), tmp_path / "main.tar", by=ANNA)
    gate = Gate(mode="gate", unmeasured=setting)
    entry = submitted(store, make_task("digits"))
    published = published_by_hand(store, encoder, entry, gate=gate)
    assert published.built_upon is passes
    assert str(published.note).startswith(said)
    version = read_version(main_of(store), 2)
    assert version.manifest.unmeasured == version.not_measured == ("fashion",)
    assert version.manifest.provenance.notes["gate"] == published.note
    assert aliases(store) == ({"head": 2, "production": 2} if passes else {"head": 1})


Meanwhile = Callable[[MemoryStore, Encoder, Submission], object]
MEANWHILE: list[tuple[Meanwhile, str]] = [
    # what happens between learning and publishing, and what is said of it
    (
        lambda store, encoder, entry: Publisher(encoder, store, Versions(store)).begin(
            entry, owner="ben", since=None
        ),
        "'ben' has begun to learn",
    ),
    (
        lambda store, _encoder, _entry: main_of(store).rollback(1, by=ANNA),
        "expected version 2, found 1 by 'anna'",
    ),
]


@pytest.mark.parametrize(("meanwhile", "said"), MEANWHILE)
def test_what_was_overtaken_is_not_published(
    encoder: Encoder, make_task: MakeTask, meanwhile: Meanwhile, said: str
) -> None:
    store = MemoryStore()
    for name in ("fashion", "digits"):
        published_by_hand(store, encoder, submitted(store, make_task(name)))
    entry = submitted(store, make_task("clip-art"))
    crew = LocalCrew(encoder, store)
    assignment = learnt_by_hand(crew, entry)
    meanwhile(store, encoder, entry)
    with pytest.raises(ConflictError, match=said):
        asyncio.run(crew.publish(assignment))
    assert main_of(store).refs().next_version == 3


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_what_was_published_is_found_again_with_what_the_gate_said(
    encoder: Encoder, make_task: MakeTask, mode: Mode
) -> None:
    store = MemoryStore()
    entry = submitted(store, make_task("fashion"), now=1.0)
    published = published_by_hand(store, encoder, entry, gate=Gate(mode=mode))
    publisher = Publisher(encoder, store, Versions(store))
    assert publisher.begin(entry, owner="anna", since=None).published == published
    later = submitted(store, make_task("digits"), now=2.0)
    published_by_hand(store, encoder, later)
    main_of(store).rollback(2, by=ANNA)
    assert publisher.begin(entry, owner="anna", since=0).published == published


def test_what_was_refused_is_found_again_by_whoever_knows_when_it_was_begun(
    encoder: Encoder, make_task: MakeTask
) -> None:
    store = MemoryStore()
    entry = submitted(store, make_task("fashion", confused=True), now=1.0)
    published = published_by_hand(store, encoder, entry, gate=STRICT)
    assert not published.built_upon
    publisher = Publisher(encoder, store, Versions(store))
    assert publisher.begin(entry, owner="anna", since=0).published == published
    # Somebody who has asked for it once more, or who never began it, is to learn it.
    for since in (published.version, None):
        assert publisher.begin(entry, owner="anna", since=since).published is None
