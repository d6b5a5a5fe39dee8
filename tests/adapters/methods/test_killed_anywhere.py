"""Methods with a shared state, killed at any steps and resumed: the same bytes in the end."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract.adapter_state import AdapterState, SharedState, encode_shared
from adapters.contract.learning import learn
from adapters.contract.method import Learner
from adapters.contract.records import encode_record
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods import METHODS
from tests.adapters.methods.dmc import scene

QUICK = {"rank": 2, "epochs": 2, "batch_size": 8}
FEATURE = {"adapter": "feature"}
WAYS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    # every part of a training that one of the settings brings or leaves out
    ("cl_lora", QUICK),
    ("cl_lora", {**QUICK, "step": "one_step", "detach_teacher": False}),
    ("cl_lora", {**QUICK, "head": "text", "calibrate": "shift"}),
    ("cl_lora", {**QUICK, "space": "tower"}),
    ("dmc", scene.QUICK),
    ("dmc", {**scene.QUICK, **FEATURE, "calibrate": "exact", "unseen": "bare"}),
    ("dmc", {**scene.QUICK, "calibrate": "paired", "covariance": "class"}),
    ("dmc_ot", scene.QUICK),
    ("dmc_ot", {**scene.QUICK, **FEATURE, "calibrate": "shift"}),
    ("dmc_ot", {**scene.QUICK, "prompts": "none", "calibrate": "sldc"}),
)


@cache
def inputs(way: int, *, follows: bool) -> TrainingInputs:
    """Return the inputs of a first task, or of a second one."""
    method, chosen = WAYS[way]
    first = replace(scene.given("first"), settings=chosen)
    if not follows:
        return first
    past = learn(METHODS[method], first)
    return replace(scene.given("second", past), settings=chosen)


@cache
def undisturbed(way: int, *, follows: bool) -> tuple[bytes, bytes]:
    """Return the record and the shared state of a training that nobody kills."""
    given_ = inputs(way, follows=follows)
    return ended(METHODS[WAYS[way][0]].start(given_), given_, WAYS[way][0])


def ended(learner: Learner, given_: TrainingInputs, name: str) -> tuple[bytes, bytes]:
    """Take the steps that are left, and return the bytes of what is learnt."""
    while learner.steps_done < learner.total_steps:
        learner.step()
    method, learnt, task = METHODS[name], learner.learnt(), given_.task
    record = method.record(task, learnt, [], settings=given_.settings, seed=given_.seed)
    assert learnt.shared is not None
    shared = SharedState(method=name, encoder=task.encoder, tensors=learnt.shared)
    return encode_record(record), encode_shared(shared)


@settings(max_examples=40, derandomize=True)
@given(
    way=st.integers(0, len(WAYS) - 1),
    follows=st.booleans(),
    kills=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    noise=st.integers(0, 2**31),
)
def test_killed_at_any_steps_and_resumed_a_training_ends_with_the_same_bytes(
    way: int, follows: bool, kills: list[int], noise: int
) -> None:
    (name, _), given_ = WAYS[way], inputs(way, follows=follows)
    expected = undisturbed(way, follows=follows)
    learner = METHODS[name].start(given_)
    for kill in sorted(number % (learner.total_steps + 1) for number in kills):
        while learner.steps_done < kill:
            learner.step()
        kept, done = learner.checkpoint(), learner.steps_done
        # Another process has another random state, and knows nothing but inputs and checkpoint.
        torch.manual_seed(noise)
        learner = METHODS[name].resume(kept, replace(given_, past=copied(given_.past)))
        assert learner.steps_done == done
    assert ended(learner, given_, name) == expected


def copied(state: AdapterState) -> AdapterState:
    """Return the same version as another process would read it."""
    return AdapterState(records=tuple(map(replace, state.records)), shared=state.shared)
