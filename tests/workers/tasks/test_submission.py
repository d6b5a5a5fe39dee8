"""A submission: one text per content, readable for ever."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.canonical import canonical_json
from adapters.errors import CorruptionError
from workers.formats.documents import SCHEMA
from workers.tasks.submission import (
    Learning,
    Shard,
    Submission,
    SubmittedClass,
    submission_from_bytes,
)

CLASSES = (SubmittedClass(key="a", name="an apple"), SubmittedClass(key="p", name="a pear"))
TRAIN = Shard(
    digest="ab" * 32, size=10_240, split="train", labels=(0, 0, 1), image_digests=("1", "2", "3")
)
HELD_OUT = Shard(digest="cd" * 32, size=10_240, split="held_out", labels=(1,), image_digests=("4",))

SUBMISSION = Submission(
    submission_id="fruit-0123456789ab",
    task="fruit",
    adapter="main",
    classes=CLASSES,
    prompt="a photo of {}.",
    settings={"steps": 20, "text": "none"},
    seed=7,
    augmentation="crop",
    shards=(TRAIN, HELD_OUT),
    accepted_at=1_000.5,
    author="anna",
    priority=2,
)


def read(content: bytes) -> Submission:
    return submission_from_bytes(content, "the submission")


def test_a_submission_comes_back_equal_from_its_bytes() -> None:
    assert read(SUBMISSION.to_bytes()) == SUBMISSION


@given(name=st.text(min_size=1), prompt=st.text(), accepted_at=st.floats(0, 1e12))
def test_any_text_survives(name: str, prompt: str, accepted_at: float) -> None:
    classes = (SubmittedClass(key="a", name=name),)
    sent = replace(SUBMISSION, classes=classes, prompt=prompt, accepted_at=accepted_at)
    assert read(sent.to_bytes()) == sent


def test_equal_submissions_have_equal_bytes_whatever_the_order_of_their_settings() -> None:
    turned = replace(SUBMISSION, settings={"text": "none", "steps": 20})
    assert turned.to_bytes() == SUBMISSION.to_bytes()


def test_what_an_older_release_stored_is_read_with_the_defaults_of_what_is_new() -> None:
    new = ("replaces", "merges", "generation", "skipped", "learning")
    stored = document(**dict.fromkeys(new, None))
    assert all(f'"{key}"' not in stored.decode() for key in new)
    assert read(stored) == SUBMISSION


def test_what_is_new_comes_back_too() -> None:
    sent = replace(
        SUBMISSION, replaces="fruit", merges={"a": "food/apple"}, generation=3, skipped=2
    )
    assert read(sent.to_bytes()) == sent


def test_by_what_it_is_learnt_comes_back_too() -> None:
    learning = Learning(method="gda", settings={"fusion": "text", "alpha": None})
    sent = replace(SUBMISSION, learning=learning)
    assert read(sent.to_bytes()) == sent
    assert (SUBMISSION.all_settings, sent.all_settings) == (SUBMISSION.settings, learning.settings)
    assert b"learning" not in SUBMISSION.to_bytes()


def document(**changes: object) -> bytes:
    """Return a stored submission with some keys changed; None leaves a key out."""
    value = {**json.loads(SUBMISSION.to_bytes()), **changes}
    return canonical_json({key: entry for key, entry in value.items() if entry is not None})


DAMAGED = [
    b"",
    b"not JSON",
    b"\xff\xfe",
    b"null",
    b"[]",
    # of a later release, with a key that this one does not know
    document(schema=SCHEMA + 1, deadline=5),
    # of a later release, with the same keys
    document(schema=SCHEMA + 1),
    document(schema=None),
    document(shards=None),
    document(shards=[5]),
    document(classes=[{"key": "a"}]),
    document(seed="7"),
    document(accepted_at="now"),
    document(shards=[{**json.loads(SUBMISSION.to_bytes())["shards"][0], "labels": ["0"]}]),
    document(shards=[{**json.loads(SUBMISSION.to_bytes())["shards"][0], "split": "dev"}]),
    document(accepted_at=5).replace(b":5", b":1e400"),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_what_is_no_submission_of_this_schema_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptionError, match=r"^the submission (is damaged: |has schema 2)"):
        read(content)


def test_keys_that_are_not_known_are_passed_over() -> None:
    assert read(document(deadline=5)) == SUBMISSION


def test_every_class_has_its_prompt_in_order() -> None:
    assert SUBMISSION.prompts() == ("a photo of an apple.", "a photo of a pear.")


def test_a_class_name_with_braces_stays_as_it_is() -> None:
    braced = replace(SUBMISSION, classes=(SubmittedClass(key="a", name="{apple} {}"),))
    assert braced.prompts() == ("a photo of {apple} {}.",)


def test_splits_are_counted_apart() -> None:
    assert SUBMISSION.of_split("train") == (TRAIN,)
    assert (SUBMISSION.images("train"), SUBMISSION.images("held_out")) == (3, 1)
    assert SUBMISSION.key == "submissions/fruit-0123456789ab/submission.json"
