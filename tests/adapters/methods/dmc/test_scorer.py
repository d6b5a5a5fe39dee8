"""DMC's versions: their towers, their text, and classes that nobody has learnt."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter, UnseenClasses
from adapters.contract.adapter_state import AdapterState
from adapters.contract.class_entry import ClassEntry
from adapters.errors import SettingsError
from adapters.methods import METHODS
from adapters.methods.dmc.image_change import attention_changes
from adapters.methods.dmc.shared_state import DmcState
from adapters.towers.vision_transformer import VisionBlocks
from tests.adapters.methods.dmc.scene import given, learnt, tower
from tests.support.scenes.vision import SCALE


def pixels(name: str = "first") -> Tensor:
    source = given(name).images.pixels
    assert source is not None
    return source(range(12))


def adapter_of(state: AdapterState) -> Adapter:
    return Adapter(state.records, shared=state.shared)


def answered(state: AdapterState, *, unseen: UnseenClasses | None = None) -> Tensor:
    adapter = adapter_of(state)
    reading = adapter.image_tower(tower())
    features = reading.features(pixels())
    found = adapter.score(features, encoder=reading.fingerprint, logit_scale=SCALE, unseen=unseen)
    return found.values


def test_a_merged_tower_reads_as_the_change_does_unmerged() -> None:
    state = learnt("first", image_learning_rate=0.05)
    found = adapter_of(state).image_tower(tower()).features(pixels())
    blocks = VisionBlocks(tower(), by="dmc_ot")
    with torch.no_grad():
        tokens = blocks.embedded(pixels())
        for block, change in attention_changes(DmcState.of(state).change).items():
            tokens = blocks.through(block, tokens, change)
        expected = normalize(blocks.projected(blocks.pooled(tokens)), dim=-1)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert not torch.allclose(found, tower().features(pixels()), atol=1e-2)


def test_every_version_of_a_changed_tower_has_a_fingerprint_of_its_own() -> None:
    past = learnt("first")
    states = (past, learnt("second", past=past), learnt("third", past=past))
    names = {adapter_of(each).fingerprint for each in states}
    assert len(names | {"small"}) == 4
    assert adapter_of(learnt("first", adapter="feature")).fingerprint == "small"


def test_a_changed_tower_has_the_weights_of_attention_to_itself_and_no_more() -> None:
    reading = adapter_of(learnt("first")).image_tower(tower())
    assert reading.own_bytes == 4 * (3 * 64 * 64) * 4
    feature = adapter_of(learnt("first", adapter="feature")).image_tower(tower())
    assert feature is tower()


def test_what_was_learnt_is_answered() -> None:
    state = learnt("first", image_learning_rate=0.02, image_epochs=10, prompt_learning_rate=0.02)
    labels = given("first").task.labels
    right = (answered(state).argmax(dim=1) == labels).float().mean()
    assert right > 0.9


def unseen() -> UnseenClasses:
    """Return a class whose text is the feature of the first image through the bare tower."""
    feature = tower().features(pixels()[:1])
    entry = ClassEntry(class_id="elsewhere/one", name="one", prompt="one")
    return UnseenClasses(classes=(entry,), text_features=feature)


@pytest.mark.parametrize("kind", ["tower", "feature"])
def test_bare_features_decide_what_is_unseen_where_that_is_asked_for(kind: str) -> None:
    settings = {"adapter": kind, "image_epochs": 4, "image_learning_rate": 0.05}
    bare = learnt("first", unseen="bare", **settings)
    changed = learnt("first", unseen="changed", **settings)
    # The bare feature of image 0 is the text of the unseen class.
    assert float(answered(bare, unseen=unseen())[0, 3]) == pytest.approx(SCALE)
    assert float(answered(changed, unseen=unseen())[0, 3]) < SCALE - 1
    # Between seen classes both decide alike, but for the rounding of another product.
    torch.testing.assert_close(answered(bare), answered(changed), atol=1e-3, rtol=0)


@pytest.mark.parametrize("method", ["dmc", "dmc_ot"])
def test_a_records_columns_do_not_depend_on_the_others(method: str) -> None:
    state = learnt("first", "second", method=method, adapter="feature", unseen="bare")
    adapter = adapter_of(state)
    features = tower().features(pixels())

    def score(*tasks: str) -> Tensor:
        return adapter.score(
            features, encoder="small", logit_scale=SCALE, tasks=tasks or None
        ).values

    assert torch.equal(score("second"), score()[:, 3:])
    assert torch.equal(score("first"), score()[:, :3])


class Convolutional(torch.nn.Module):
    """A tower without attention."""


def test_a_tower_that_has_no_attention_is_refused_for_tower_alone() -> None:
    method = METHODS["dmc_ot"]
    with pytest.raises(SettingsError, match=r"'dmc_ot'.*Convolutional.*`adapter: feature`"):
        method.check_tower(Convolutional, {})
    method.check_tower(Convolutional, {"adapter": "feature"})
    method.check_tower(lambda: tower().visual, {})
