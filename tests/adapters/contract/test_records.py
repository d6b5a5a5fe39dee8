"""Records and their bytes."""

import hashlib
import json
import math
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record, decode_record, encode_record, pack, unpack
from adapters.contract.thresholds import Thresholds
from adapters.errors import ClassNameError, CorruptionError, FeatureError
from adapters.methods.lada.record import record_mixtures
from adapters.methods.lada.scorer import scored_classes
from tests.adapters.synthetic import clusters, entries, learnt

NAMES = st.text(min_size=1, max_size=12).filter(lambda name: bool(name.strip()))


def small_record(**changes: object) -> Record:
    record = Record(
        task="first",
        classes=entries("first", 2),
        method="lada",
        settings={"alpha": 1.0, "text": "none"},
        seed=3,
        encoder="synthetic",
        tensors={"b": torch.arange(3.0), "a": torch.zeros(2, 2), "count": torch.tensor([0, 2])},
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def test_the_same_record_has_the_same_bytes_whatever_the_order_of_its_parts() -> None:
    record = small_record()
    reordered = replace(
        record,
        settings=dict(reversed(list(record.settings.items()))),
        tensors=dict(reversed(list(record.tensors.items()))),
    )
    digest = hashlib.sha256(encode_record(record)).hexdigest()
    assert hashlib.sha256(encode_record(reordered)).hexdigest() == digest
    # Written down once: another machine or release must find the same.
    assert digest == "e345bc5fc52e4067897e02b8f6399e5f0e4d0ebda6eb6660a05941b7cc7a1e51"


@given(task=NAMES, name=NAMES, prompt=st.text(max_size=20), seed=st.integers(0, 2**63 - 1))
def test_decoding_gives_back_what_was_encoded(task: str, name: str, prompt: str, seed: int) -> None:
    entry = ClassEntry(class_id=name, name=name, prompt=prompt)
    record = small_record(task=task, classes=(entry,), seed=seed)
    decoded = decode_record(encode_record(record))
    assert replace(decoded, tensors={}) != decoded  # records are compared by their bytes
    assert (decoded.task, decoded.classes, decoded.seed) == (task, (entry,), seed)
    assert decoded.settings == record.settings
    assert all(torch.equal(decoded.tensors[key], value) for key, value in record.tensors.items())
    assert encode_record(decoded) == encode_record(record)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"nonsense",
        b"\xff" * 64,  # a header longer than the file
        encode_record(small_record())[:-1],  # cut off
        pack({}, {"schema": 2}),  # of a later release
        pack({}, {"schema": 1}),  # nothing described
        pack(
            {},
            {
                "schema": 1,
                "task": "t",
                "classes": [],
                "method": "lada",
                "settings": {},
                "seed": 1,
                "encoder": "e",
            },
        ),
        pack(
            {},
            {
                "schema": 1,
                "task": "t",
                "classes": [[1, 2, 3]],
                "method": "lada",
                "settings": {},
                "seed": 1,
                "encoder": "e",
            },
        ),
    ],
)
def test_other_bytes_are_corruption(blob: bytes) -> None:
    with pytest.raises(CorruptionError):
        decode_record(blob)


def test_a_temperature_is_kept_and_a_release_that_knows_none_must_refuse_the_record() -> None:
    record = small_record(temperature=1.25)
    blob = encode_record(record)
    assert decode_record(blob).temperature == 1.25
    assert unpack(blob)[1]["schema"] == 3
    without = encode_record(replace(record, temperature=None))
    assert without == encode_record(small_record())
    assert decode_record(without).temperature is None


def test_a_record_may_have_merged_classes_and_a_temperature() -> None:
    merged = (*entries("first", 1), replace(entries("first", 2)[1], merged_into="other/1"))
    decoded = decode_record(encode_record(small_record(classes=merged, temperature=2.0)))
    assert (decoded.classes, decoded.temperature) == (merged, 2.0)


KEPT = Thresholds(rates=(0.05, 0.2), scores=(-1.5, 0.1))


def test_thresholds_are_kept_and_a_release_that_knows_none_must_refuse_the_record() -> None:
    blob = encode_record(small_record(thresholds=KEPT))
    assert decode_record(blob).thresholds == KEPT
    assert unpack(blob)[1] | {"schema": 4} == unpack(blob)[1]
    assert encode_record(small_record(thresholds=None)) == encode_record(small_record())
    warm = small_record(thresholds=KEPT, temperature=1.25)
    decoded = decode_record(encode_record(warm))
    assert (decoded.thresholds, decoded.temperature) == (KEPT, 1.25)
    assert encode_record(decoded) == encode_record(warm)


def test_a_record_may_have_merged_classes_and_thresholds() -> None:
    merged = (*entries("first", 1), replace(entries("first", 2)[1], merged_into="other/1"))
    decoded = decode_record(encode_record(small_record(classes=merged, thresholds=KEPT)))
    assert (decoded.classes, decoded.thresholds) == (merged, KEPT)


@pytest.mark.parametrize(
    "thresholds",
    [None, [], {}, 0.1, [[0.1]], [[0.1, "1"]], [[0.2, 0.0], [0.1, 1.0]], [[0.1, True]], [[0.9, 1]]],
)
def test_thresholds_that_nobody_wrote_are_corruption(thresholds: object) -> None:
    tensors, described = unpack(encode_record(small_record(thresholds=KEPT)))
    with pytest.raises(CorruptionError):
        decode_record(pack(tensors, {**described, "thresholds": thresholds}))


def test_a_temperature_of_a_record_with_thresholds_is_checked_as_any() -> None:
    tensors, described = unpack(encode_record(small_record(thresholds=KEPT)))
    with pytest.raises(CorruptionError, match="positive temperature"):
        decode_record(pack(tensors, {**described, "temperature": -1.0}))


def test_thresholds_in_a_record_of_an_earlier_schema_are_passed_over() -> None:
    tensors, described = unpack(encode_record(small_record(temperature=2.0)))
    blob = pack(tensors, {**described, "thresholds": KEPT.described()})
    assert decode_record(blob).thresholds is None


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_is_none_is_not_written(temperature: float) -> None:
    with pytest.raises(FeatureError, match="positive temperature"):
        encode_record(small_record(temperature=temperature))


@pytest.mark.parametrize("temperature", [0, -1.0, None, "1.0", True, 1e999, {}])
def test_a_temperature_that_nobody_wrote_is_corruption(temperature: object) -> None:
    tensors, described = unpack(encode_record(small_record(temperature=2.0)))
    text = json.dumps({**described, "temperature": temperature})
    plain = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with pytest.raises(CorruptionError):
        decode_record(safetensors.torch.save(plain, metadata={"nacre": text}))


def test_a_temperature_in_a_record_of_an_earlier_schema_is_passed_over() -> None:
    tensors, described = unpack(encode_record(small_record()))
    assert decode_record(pack(tensors, {**described, "temperature": 2.0})).temperature is None


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "at least one class"),
        ((*entries("a", 1), *entries("a", 1)), "twice"),
        ((ClassEntry(class_id=" ", name="x", prompt=""),), "an id and a name"),
        ((ClassEntry(class_id="x", name="", prompt=""),), "an id and a name"),
    ],
)
def test_bad_classes_are_refused(classes: tuple[ClassEntry, ...], message: str) -> None:
    with pytest.raises(ClassNameError, match=message):
        encode_record(small_record(classes=classes))


def test_tensors_that_are_not_finite_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"not finite: .* lower learning rate"):
        encode_record(small_record(tensors={"a": torch.tensor([1.0, torch.nan])}))


@pytest.mark.parametrize("name", ["memory", "memory_offsets", "text_features", "mixture_means"])
def test_a_lada_record_without_one_of_its_tensors_is_corrupt(name: str) -> None:
    record = learnt(clusters(), steps=1)
    tensors = {key: value for key, value in record.tensors.items() if key != name}
    with pytest.raises(CorruptionError, match="missing"):
        scored_classes(replace(record, tensors=tensors))


def test_a_lada_record_whose_tensors_do_not_fit_is_corrupt() -> None:
    record = learnt(clusters(), steps=1)
    short = {**record.tensors, "mixture_weights": record.tensors["mixture_weights"][1:]}
    with pytest.raises(CorruptionError, match="do not fit"):
        record_mixtures(replace(record, tensors=short))


def test_a_method_may_keep_one_tensor_under_two_names_and_a_part_beside_the_whole() -> None:
    whole = torch.arange(12.0).view(4, 3)
    kept = {"whole": whole, "again": whole, "part": whole[1:3], "turned": whole.t()}
    tensors, _ = unpack(pack({**kept, "empty": whole[:0]}, {}))
    assert all(torch.equal(tensors[name], each) for name, each in kept.items())
    size = sum(each.nbytes for each in kept.values())
    assert len(encode_record(small_record(tensors=kept))) > size
