"""Applications of Ray Serve, and the document that names them: what each is given, and asks for."""

import warnings
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.errors import SettingsError
from cluster.config import (
    AdapterConfig,
    Config,
    EncodersConfig,
    PlacementConfig,
    RolePlacement,
    ServeConfig,
    WorkersConfig,
)
from cluster.runtime.names import API, COORDINATOR, EVERY_ROLE
from workers.housekeeping.retention import Retention

with warnings.catch_warnings():
    # Ray's own imports warn of what they use; nothing is started by them.
    warnings.simplefilter("ignore")
    from ray.serve.schema import ServeDeploySchema

    from cluster import app
    from cluster.app import Arguments
    from cluster.system.declaration import document

BARE = Config(store="file:///var/lib/nacre")
WITH_CONSOLE = replace(BARE, serve=ServeConfig(console=True))


def built(config: Config) -> dict[str, Any]:
    """Return the deployments of all applications by name, built from the printed document."""
    found = {}
    for each in ServeDeploySchema.model_validate(document(config)).applications:
        module, _, name = str(each.import_path).partition(":")
        assert module == app.__name__
        bound = getattr(app, name)(Arguments.model_validate(each.args))._bound_deployment
        for deployment in (bound, *(arg._bound_deployment for arg in _apps(bound.init_args))):
            found[deployment.name] = deployment
    return found


def _apps(args: tuple[Any, ...]) -> list[Any]:
    return [arg for arg in args if hasattr(arg, "_bound_deployment")]


def changed(before: Config, after: Config) -> set[str]:
    """Return the roles whose applications Serve replaces when a configuration changes."""
    pairs = zip(document(before)["applications"], document(after)["applications"], strict=True)
    return {old["name"].removeprefix("nacre-") for old, new in pairs if old != new}


def test_there_is_a_builder_for_every_role_and_each_makes_its_deployment() -> None:
    assert set(built(BARE)) == {*EVERY_ROLE, "replica"} - {API}


def test_only_the_api_has_a_route_and_it_listens_where_it_was_configured() -> None:
    config = replace(BARE, serve=ServeConfig(host="0.0.0.0", port=9000))
    found = ServeDeploySchema.model_validate(document(config))
    routes = {each.name: each.route_prefix for each in found.applications}
    assert {name for name, route in routes.items() if route} == {"nacre-api"}
    assert (found.http_options.host, found.http_options.port) == ("0.0.0.0", 9000)
    assert found.proxy_location == "EveryNode"


def test_the_console_is_an_application_of_its_own_where_it_is_configured() -> None:
    found = {each["name"]: each for each in document(WITH_CONSOLE)["applications"]}
    assert found["nacre-console"]["route_prefix"] == "/console"
    assert "nacre-console" not in {each["name"] for each in document(BARE)["applications"]}
    placed = PlacementConfig(console=RolePlacement(labels={"zone": "a"}))
    deployment = built(replace(WITH_CONSOLE, placement=placed))["console"]
    assert deployment.num_replicas == 1
    assert deployment.ray_actor_options["num_cpus"] == 0.1
    assert deployment.ray_actor_options["label_selector"] == {"zone": "a"}
    assert WITH_CONSOLE.console_url == "http://127.0.0.1:8000/console"
    assert BARE.console_url is None


def test_replicas_and_workers_go_on_when_the_console_comes_and_it_when_they_change() -> None:
    with_it = document(WITH_CONSOLE)["applications"]
    pairs = zip(with_it, document(BARE)["applications"], strict=False)
    # The coordinator publishes the whole configuration.
    assert [new["name"] for new, old in pairs if new != old] == ["nacre-coordinator"]
    config = replace(WITH_CONSOLE, workers=WorkersConfig(poll_s=2.0))
    assert document(config)["applications"][-1] == with_it[-1]


def test_a_role_is_given_what_was_configured_and_of_that_what_it_reads() -> None:
    workers = WorkersConfig(threads=3, trainers=2, poll_s=2.0)
    config = replace(BARE, workers=workers, adapter="birds", cache_bytes=5)
    deployments = built(config)
    given = deployments["trainer"].init_args[0]
    assert (given.store, given.cache_bytes) == (config.store, 5)
    assert (given.workers.threads, given.workers.poll_s) == (3, WorkersConfig().poll_s)
    assert deployments[COORDINATOR].init_args[0] == config
    assert deployments["publisher"].init_args[0].adapter == "birds"


CHANGES: list[tuple[Config, set[str]]] = [
    (BARE, set()),
    (replace(BARE, ray="auto"), set()),
    (replace(BARE, workers=WorkersConfig(poll_s=2.0)), {COORDINATOR}),
    (replace(BARE, retention=Retention(days=1)), {COORDINATOR, API}),
    (replace(BARE, adapters={"*": AdapterConfig(method="gda")}), {COORDINATOR, API}),
    (replace(BARE, workers=WorkersConfig(mixtures=2)), {"mixture_fitter", COORDINATOR}),
    (replace(BARE, store="file:///elsewhere"), set(EVERY_ROLE)),
]


@pytest.mark.parametrize(("config", "roles"), CHANGES)
def test_what_does_not_read_a_key_goes_on_when_it_changes(config: Config, roles: set[str]) -> None:
    assert changed(BARE, config) == roles


def test_nothing_is_taken_that_was_not_asked_for() -> None:
    for deployment in built(BARE).values():
        assert deployment.ray_actor_options["num_gpus"] == 0
        assert deployment.ray_actor_options["num_cpus"] <= 0.1


def test_what_is_asked_for_is_asked_of_ray_wherever_it_is() -> None:
    needs = RolePlacement(
        gpus=0.5, cpus=2, resources={"fast": 1}, labels={"ray.io/accelerator-type": "L4"}
    )
    placement = PlacementConfig(shard_encoder=needs, coordinator=RolePlacement(cpus=1))
    found = built(replace(BARE, placement=placement))
    assert found["shard_encoder"].ray_actor_options == {
        "num_cpus": 2,
        "num_gpus": 0.5,
        "resources": {"fast": 1},
        "label_selector": {"ray.io/accelerator-type": "L4"},
    }
    assert found["decoder"].ray_actor_options["num_cpus"] == 1  # others decode for encoders on GPUs
    assert found[COORDINATOR].ray_actor_options["num_cpus"] == 1


def test_encoders_and_trainers_may_begin_at_none() -> None:
    workers = WorkersConfig(encoders=EncodersConfig(min=0, max=4), trainers=2, least_trainers=0)
    placement = PlacementConfig(shard_encoder=RolePlacement(gpus=1))
    found = built(replace(BARE, workers=workers, placement=placement))
    sizes = {
        name: (scaling.min_replicas, scaling.max_replicas)
        for name, deployment in found.items()
        if (scaling := deployment._deployment_config.autoscaling_config)
    }
    assert sizes == {"shard_encoder": (0, 4), "decoder": (0, 4), "trainer": (0, 2)}
    assert built(replace(BARE, workers=WorkersConfig(trainers=2)))["trainer"].num_replicas == 2


def test_a_wrong_argument_is_named_as_in_the_file() -> None:
    with pytest.raises(SettingsError, match=r"unknown key 'prot' in serve.*did you mean 'port'"):
        Arguments.model_validate({"config": {"serve": {"prot": 1}}})
    with pytest.raises(ValidationError, match="confg"):
        Arguments.model_validate({"confg": {}})
