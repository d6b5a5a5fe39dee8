"""Class names that other tasks have: refused, kept, merged or qualified, as the task says."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from adapters.contract.class_entry import ClassEntry
from adapters.contract.class_names import Tokens
from workers.encoding.encoder_settings import EncoderSettings
from workers.encoding.prompts import PromptReader
from workers.intake.naming import NO_NAMES, KnownNames, Naming, naming_of
from workers.tasks.task import SharedNames, Task

TASK = Task(
    name="oxford-flowers",
    images={},
    classes={"sun": "Sunflower", "rose": "rose", "lotus": "lotus"},
)


def entry(class_id: str, name: str, merged_into: str | None = None) -> ClassEntry:
    return ClassEntry(class_id=class_id, name=name, prompt="", merged_into=merged_into)


CALTECH = [entry("caltech/1", "sunflower"), entry("caltech/2", "lotus"), entry("caltech/3", "cup")]


def named(choice: SharedNames | None, existing: list[ClassEntry], **changes: object) -> Naming:
    task = replace(TASK, shared_names=choice, **changes)  # type: ignore[arg-type]
    return naming_of(task, KnownNames(classes=existing))


def names(naming: Naming) -> list[str]:
    return [entry.name for entry in naming.classes]


def messages(naming: Naming) -> str:
    return "\n".join(finding.message for finding in naming.findings)


CHOICES: list[SharedNames | None] = [None, "keep", "merge", "qualify"]


@pytest.mark.parametrize("choice", CHOICES)
def test_names_of_ones_own_are_never_touched(choice: SharedNames | None) -> None:
    naming = named(choice, [entry("caltech/3", "cup")])
    assert names(naming) == ["Sunflower", "rose", "lotus"]
    assert (naming.merges, naming.shared, naming.findings) == ({}, (), ())


def test_without_a_choice_shared_names_and_their_tasks_are_listed_with_the_ways_out() -> None:
    naming = named(None, [*CALTECH, entry("plants/x", "SUNFLOWER")])
    (finding,) = naming.findings
    assert finding.message.startswith("2 class names of task 'oxford-flowers'")
    assert finding.fields["problems"] == (
        "'Sunflower' (in caltech, plants)",
        "'lotus' (in caltech)",
    )
    for word in ("`shared_names: keep`", "`shared_names: merge`", "`shared_names: qualify`"):
        assert word in finding.message
    assert "'Sunflower (oxford flowers)'" in finding.message


def test_kept_names_stay_as_they_are() -> None:
    naming = named("keep", CALTECH)
    assert names(naming) == ["Sunflower", "rose", "lotus"]
    assert (naming.merges, naming.findings) == ({}, ())
    assert [shared.key for shared in naming.shared] == ["sun", "lotus"]


def test_only_shared_names_are_qualified_with_the_domain() -> None:
    naming = named("qualify", CALTECH)
    expected = ["Sunflower (oxford flowers)", "rose", "lotus (oxford flowers)"]
    assert (names(naming), naming.merges, naming.findings) == (expected, {}, ())


def test_another_word_may_qualify_them() -> None:
    assert names(named("qualify", CALTECH, qualifier="garden"))[0] == "Sunflower (garden)"


def test_a_word_that_does_not_tell_them_apart_is_refused() -> None:
    taken = entry("other/1", "sunflower (garden)")
    found = messages(named("qualify", [*CALTECH, taken], qualifier="garden"))
    assert "even with the word 'garden'" in found
    assert "'Sunflower (garden)' (in other)" in found


def test_merged_classes_count_as_the_existing_ones() -> None:
    naming = named("merge", CALTECH)
    assert naming.merges == {"sun": "caltech/1", "lotus": "caltech/2"}
    assert (names(naming), naming.findings) == (["Sunflower", "rose", "lotus"], ())


def test_what_was_merged_before_is_merged_into_the_first_of_them() -> None:
    existing = [entry("plants/s", "sunflower", "caltech/1"), *CALTECH]
    naming = named("merge", existing)
    assert (naming.merges["sun"], naming.findings) == ("caltech/1", ())


def test_a_name_of_several_classes_does_not_say_which_is_meant() -> None:
    found = messages(named("merge", [*CALTECH, entry("plants/s", "sunflower")]))
    assert "belong to several classes" in found
    assert "'Sunflower': caltech/1, plants/s" in found


@pytest.mark.parametrize("choice", [None, "merge", "qualify"])
def test_two_classes_of_one_task_need_names_of_their_own(choice: SharedNames | None) -> None:
    classes = {"a": "Bengal", "b": "bengal"}
    assert "oxford-flowers/a, oxford-flowers/b" in messages(named(choice, [], classes=classes))
    assert named("keep", [], classes=classes).findings == ()


@pytest.mark.parametrize("choice", CHOICES)
def test_a_task_does_not_collide_with_what_it_takes_the_place_of(
    choice: SharedNames | None,
) -> None:
    own = [entry("oxford-flowers/sun", "Sunflower"), entry("flowers-2024/rose", "rose")]
    naming = named(choice, own, replaces="flowers-2024")
    assert (naming.shared, naming.findings) == ((), ())


def test_a_class_that_counts_as_ones_own_is_no_stranger() -> None:
    # plants was merged into this task's earlier submission, which is now replaced.
    existing = [entry("plants/s", "sunflower", "oxford-flowers/sun")]
    assert named(None, existing, replaces="oxford-flowers").findings == ()


LONG = "a scratch on the left side of the housing " * 9


def cut(prompts: Sequence[str]) -> dict[str, Tokens]:
    return PromptReader(EncoderSettings()).cut(prompts)


def test_names_that_differ_behind_what_the_encoder_reads_are_one_name() -> None:
    task = replace(TASK, classes={"a": LONG + "deep", "b": LONG + "shallow", "c": "dent"})
    naming = naming_of(task, KnownNames(cut=cut))
    assert "a scratch on the left" in messages(naming)
    assert "oxford-flowers/a, oxford-flowers/b" in messages(naming)
    assert naming.cut == tuple(task.prompt.format(task.classes[key]) for key in "ab")
    assert not naming_of(replace(task, shared_names="keep"), KnownNames(cut=cut)).findings


def test_a_name_is_shared_too_where_another_task_has_what_is_read_of_it() -> None:
    task = replace(TASK, classes={"a": LONG + "deep", "c": "dent"})
    other = f"a photo of a {LONG}shallow."
    existing = [ClassEntry(class_id="damages/x", name=LONG + "shallow", prompt=other)]
    (finding,) = naming_of(task, KnownNames(classes=existing, cut=cut)).findings
    assert finding.message.startswith("1 class name of task 'oxford-flowers'")
    assert "(in damages)" in finding.message


SPELLINGS = [("caf\u00e9", "cafe\u0301"), ("AT&T", "AT&amp;T"), ("\ufb01sh", "fish")]


@pytest.mark.parametrize(("one", "other"), SPELLINGS)
def test_spellings_of_one_prompt_are_one_name(one: str, other: str) -> None:
    within = messages(naming_of(replace(TASK, classes={one: one, other: other}), NO_NAMES))
    assert "have one name to the encoder" in within
    (shared,) = naming_of(
        replace(TASK, classes={"x": one}), KnownNames(classes=[entry("caltech/1", other)])
    ).shared
    assert shared.existing[0].class_id == "caltech/1"


def test_keys_that_look_alike_are_told_apart() -> None:
    within = messages(
        naming_of(replace(TASK, classes={"caf\u00e9": "a", "cafe\u0301": "a"}), NO_NAMES)
    )
    assert r"caf\xe9'" in within
    assert r"cafe\u0301'" in within
