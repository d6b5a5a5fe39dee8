"""Naming an adapter's method in the configuration: what follows from it, and what is refused."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.errors import SettingsError
from adapters.methods.harness_only import HARNESS_METHODS
from cluster.client.client import Client
from cluster.client.tasks import load_task
from cluster.config import AdapterConfig, Config, load_config
from workers.encoding.encoder_settings import EncoderSettings

with warnings.catch_warnings():
    # Ray's own imports warn of what they use; nothing is started by them.
    warnings.simplefilter("ignore")
    from cluster.system.system import check


def config_of(folder: Path, method: str) -> Config:
    return Config(store=f"file://{folder}/store", adapters={"birds": AdapterConfig(method=method)})


def test_an_adapter_names_its_method(tmp_path: Path) -> None:
    path = tmp_path / "nacre.yaml"
    path.write_text("adapters: {birds: {method: gda}, '*': {method: nearest_mean}}")
    config = load_config(path)
    assert config.of_adapter("birds").method == "gda"
    assert config.of_adapter("main").method == "nearest_mean"
    check(replace(config, store=f"file://{tmp_path}/store"))


def test_a_task_has_the_settings_of_its_adapters_method(
    write_task: Callable[..., Path], tmp_path: Path
) -> None:
    client = Client(config_of(tmp_path, "gda"))
    path = write_task(keys="adapter: birds\nsettings: {fusion: alone}")
    assert client.submit(path).submission.settings == {"fusion": "alone"}
    with pytest.raises(SettingsError, match="unknown setting 'fusion'"):
        client.submit(path, adapter="main")  # which is LADA's


def test_a_task_made_in_python_is_checked_like_one_that_was_read(
    write_task: Callable[..., Path], tmp_path: Path
) -> None:
    config = config_of(tmp_path, "gda")
    task = load_task(write_task(keys="settings: {steps: 3}"), config)  # for LADA's adapter
    with pytest.raises(SettingsError, match="unknown setting 'steps'"):
        Client(config).submit(replace(task, adapter="birds"))


@pytest.mark.parametrize("name", [*sorted(HARNESS_METHODS), "gad"])
def test_a_method_that_no_queue_learns_is_refused_before_anything_is_stored(
    name: str, write_task: Callable[..., Path], tmp_path: Path
) -> None:
    config, path = config_of(tmp_path, name), write_task(keys="adapter: birds")
    client, expected = Client(config), rf"expected one of cl_lora, .*gda.*found '{name}'[,;] "
    with pytest.raises(SettingsError, match=expected):
        check(config)
    with pytest.raises(SettingsError, match=expected):
        client.submit(path)
    with pytest.raises(SettingsError, match=expected):
        client.submit(replace(load_task(path, Config()), adapter="birds"))
    assert not client.queue().states


def test_a_method_that_changes_the_tower_says_of_another_why_it_cannot_before_anything_is_stored(
    write_task: Callable[..., Path], tmp_path: Path
) -> None:
    client = Client(config_of(tmp_path, "cl_lora"))  # under the encoder that comes with nacre
    with pytest.raises(SettingsError, match=r"'cl_lora' changes the attention.*found EfficientNet"):
        client.submit(write_task(keys="adapter: birds"))
    assert not client.queue().states


def test_who_submits_need_not_have_the_encoder_that_a_method_changes(
    write_task: Callable[..., Path], tmp_path: Path
) -> None:
    elsewhere = EncoderSettings(model="/models/of/the/system")
    client = Client(replace(config_of(tmp_path, "cl_lora"), encoder=elsewhere))
    assert client.submit(write_task(keys="adapter: birds")).is_new


def test_a_system_is_not_started_where_a_method_can_learn_no_task_on_its_encoder(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path, "cl_lora")
    with pytest.raises(SettingsError, match=r"'cl_lora' changes the attention.*found EfficientNet"):
        check(config)
    check(replace(config, encoder=EncoderSettings(model="ViT-B-32", pretrained="openai")))
    # Nobody here knows that model: whoever loads it will say so.
    check(replace(config, encoder=EncoderSettings(model=f"{tmp_path}/elsewhere")))
    check(config_of(tmp_path, "dmc_ot"))  # with `adapter: feature` it learns on any encoder
