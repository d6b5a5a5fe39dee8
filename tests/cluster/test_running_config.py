"""Two configurations compared: which keys differ, and what of that a running system can follow."""

from dataclasses import replace
from typing import Any

import pytest

from cluster.config import (
    AdapterConfig,
    Config,
    EncodersConfig,
    RequesterLimits,
    ServeConfig,
    WorkersConfig,
)
from cluster.running_config import (
    RunningConfig,
    differing,
    everything,
    is_live,
    not_served,
    published,
    with_live,
)
from workers.encoding.encoder_settings import EncoderSettings
from workers.housekeeping.retention import Retention
from workers.learning.gate import Gate

RAN = Config(store="memory://a")
OWN = AdapterConfig(method="own_metric")
CHANGED = [
    # what an adapter is learnt by, where nothing was said of it before
    (replace(RAN, adapters={"am": OWN}), ("adapters.am.method",), True),
    (
        replace(RAN, adapters={"*": replace(OWN, gate=Gate(mode="gate"))}),
        ("adapters.*.method", "adapters.*.gate.mode"),
        True,
    ),
    (replace(RAN, retention=Retention(days=3)), ("retention.days",), True),
    (replace(RAN, workers=WorkersConfig(attempts=9)), ("workers.attempts",), True),
    (
        replace(RAN, workers=WorkersConfig(encoders=EncodersConfig(max=3))),
        ("workers.encoders.max",),
        False,
    ),
    (replace(RAN, serve=ServeConfig(adapters=("am",))), ("serve.adapters",), False),
    (replace(RAN, adapter="medical"), ("adapter",), False),
    (
        replace(RAN, limits={"token:ci": RequesterLimits(requests=1)}),
        ("limits.token:ci.requests",),
        False,
    ),
    (replace(RAN, encoder=EncoderSettings(precision="bf16")), ("encoder.precision",), False),
]
SAME = [
    RAN,
    # the rule for all is that of the one, too
    replace(RAN, adapters={"am": AdapterConfig()}),
    replace(RAN, limits={"token:ci": RequesterLimits()}),
    # how one machine reaches the system
    replace(RAN, store="memory://b", ray="auto", cache_bytes=1, serve=ServeConfig(port=9)),
]


def running(config: Config) -> RunningConfig:
    return RunningConfig(published=published(config))


@pytest.mark.parametrize(("config", "keys", "live"), CHANGED)
def test_keys_that_differ_are_named_and_some_can_be_followed(
    config: Config, keys: tuple[str, ...], live: bool
) -> None:
    assert running(RAN).differing(config) == keys
    assert [is_live(key) for key in keys] == [live] * len(keys)
    assert running(RAN).digest != running(config).digest
    followed = with_live(RAN, config)
    assert running(followed).differing(config) == (() if live else keys)


@pytest.mark.parametrize("config", SAME)
def test_what_comes_to_the_same_does_not_differ(config: Config) -> None:
    assert running(RAN).differing(config) == ()
    assert running(RAN).unlike(config) is None


def test_who_starts_a_system_anew_hears_of_every_key() -> None:
    keys = differing(everything(RAN), everything(SAME[-1]))
    assert keys == ("store", "cache_bytes", "ray", "serve.port")


def test_keys_of_another_release_are_passed_over() -> None:
    later = {**published(RAN), "colour": "red", "retention": {"weeks": 1}}
    assert RunningConfig(published=later).differing(RAN) == ()
    assert RunningConfig(published=later).in_effect(RAN) == RAN


def test_a_replica_follows_what_was_published_since_it_was_started() -> None:
    limits = {"*": RequesterLimits(stored_mb=None)}
    config = replace(RAN, adapters={"am": OWN}, retention=Retention(days=3), limits=limits)
    assert running(config).in_effect(RAN) == config


def test_an_adapter_that_nobody_serves_is_told_with_the_key() -> None:
    assert running(replace(RAN, serve=ServeConfig(adapters=("am",)))).served == ("main", "am")
    both = Config(serve=ServeConfig(adapters=("am",)))
    assert not_served("am", None, both) is None
    assert not_served("am", RunningConfig(published=published(both)), Config()) is None
    sentence = str(not_served("am", None, Config()))
    assert "(served: main); name it under `serve: adapters:`" in sentence


WAYS = [
    ({"retention": Retention(days=1)}, "`nacre up` applies that while it runs"),
    ({"serve": ServeConfig(stale_s=7.0)}, "`nacre down`, then `nacre up` starts it with this one"),
    (
        {"retention": Retention(days=1), "serve": ServeConfig(stale_s=7.0)},
        "`nacre up` applies what can be changed while it runs, and names the rest",
    ),
]


@pytest.mark.parametrize(("changes", "way"), WAYS)
def test_what_to_do_depends_on_what_can_be_changed_while_it_runs(
    changes: dict[str, Any], way: str
) -> None:
    assert str(running(RAN).unlike(replace(RAN, **changes))).endswith(way)
