"""The chart: what it gives Kubernetes for the values that people write, and what it refuses."""

import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml
from pydantic.alias_generators import to_camel
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.serve.schema import ServeDeploySchema

from cluster.config import Config
from cluster.runtime.names import EVERY_ROLE, application
from cluster.stores.credentials.sources import source_of
from cluster.system.declaration import document
from deploy.helm.make import made
from deploy.helm.values import PORTS, Group, Values
from tests.support.kubernetes.manifests import (
    CHART,
    ROOT,
    Manifest,
    chart,
    configuration_in,
    notes,
    of_kind,
    places,
    pod_templates,
    rendered,
    values_in,
    wrong_in,
)
from workers.formats.yaml_settings import settings_of

LEAST: dict[str, Any] = {
    "config": {"store": "s3://nacre/production"},
    "store": {"existingSecret": "nacre-store"},
    "auth": {"existingSecret": "nacre-tokens"},
}
"""The three lines of the chart's README."""
EXAMPLES = {
    path.stem: values_in(path) for path in sorted((ROOT / "deploy/helm/examples").glob("*.yaml"))
}
EVERY_EXAMPLE = {"least": LEAST, **EXAMPLES}
EVERYTHING: dict[str, Any] = {
    **LEAST,
    "config": {**LEAST["config"], "cache_bytes": 20 * 2**30},
    "head": {"scratch": "32Gi"},
    "groups": {group: {"scratch": "32Gi"} for group in ("serve", "encode", "learn")},
    "global": {"imageRegistry": "registry.example.com/mirror/"},
    "image": {"pullSecrets": ["pull"], "cpu": {"digest": f"sha256:{'0' * 64}"}},
    "auth": {"create": True, "oidcSecret": "nacre-oidc"},
    "store": {"existingSecret": "nacre-store", "caSecret": "nacre-ca"},
    "upgrade": {"strategy": "NewClusterWithIncrementalUpgrade", "gatewayClassName": "istio"},
    "gcsFaultTolerance": {
        "backend": "redis",
        "redis": {"address": "redis:6379", "existingSecret": "r"},
    },
    "history": {"image": "collector:1", "env": [{"name": "S3_BUCKET", "value": "history"}]},
    "ingress": {
        "enabled": True,
        "host": "nacre.example.com",
        "tlsSecret": "tls",
        "className": "nginx",
    },
    "gateway": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "monitoring": {"podMonitor": True, "rules": True, "dashboard": True},
    "weights": {"url": "https://example.com/weights.safetensors", "sha256": "a" * 64},
    "networkPolicy": {"apiServer": ["10.0.0.1/32"]},
}
every_example = pytest.mark.parametrize("name", EVERY_EXAMPLE)


def service_of(values: dict[str, Any]) -> Manifest:
    return of_kind(rendered(values), "RayService")


def merged(values: dict[str, Any], **others: Any) -> dict[str, Any]:
    """Return values with others in them, as deep as both are mappings."""
    found = deepcopy(values)
    for key, other in others.items():
        both = isinstance(other, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], **other) if both else other
    return found


def container(template: Manifest) -> Manifest:
    (only,) = template["spec"]["containers"]
    return dict(only)


# It can be a part of another chart.


def test_it_renders_the_same_as_a_part_of_another_chart_with_that_ones_values(
    tmp_path: Path,
) -> None:
    parent = tmp_path / "platform"
    shutil.copytree(CHART, parent / "charts" / "nacre")
    own = yaml.safe_load((CHART / "Chart.yaml").read_text())
    part = {"name": "nacre", "version": own["version"], "condition": "nacre.enabled"}
    about = {"apiVersion": "v2", "name": "platform", "version": "0.1.0", "dependencies": [part]}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(about))
    (parent / "values.yaml").write_text("global: {storageClass: fast}\n")
    chart = helm_python.Chart.load(parent)
    for enabled in (True, False):
        texts = chart.render(
            {"nacre": {**LEAST, "enabled": enabled}}, name="production", namespace="ml"
        )
        read = (
            yaml.safe_load_all(text)
            for path, text in texts.items()
            if not path.endswith("NOTES.txt")
        )
        found = [each for manifests in read for each in manifests if each]
        assert found == (rendered(LEAST) if enabled else [])


# The chart and the program cannot differ.


def test_what_is_made_of_the_types_is_what_is_in_the_chart() -> None:
    for path, content in made().items():
        assert path.read_text() == content, "the types have changed: run `make docs`"


def test_the_chart_is_of_the_version_of_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart().metadata["appVersion"] == project["version"]
    assert Values().ray_version.startswith("2.60.")


def test_the_three_lines_of_the_readme_are_enough() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (CHART / "README.md").read_text(), re.DOTALL)
    assert yaml.safe_load(block) == LEAST
    assert len(block.splitlines()) == 3


@every_example
def test_serve_is_told_what_the_program_would_tell_it(name: str) -> None:
    manifests = rendered(EVERY_EXAMPLE[name])
    written = yaml.safe_dump(configuration_in(manifests)).encode()
    expected = document(settings_of(Config, written, "nacre.yaml"))
    found = yaml.safe_load(of_kind(manifests, "RayService")["spec"]["serveConfigV2"])
    for of_chart, of_program in zip(
        found.pop("applications"), expected.pop("applications"), strict=True
    ):
        configs = [each.pop("args")["config"] for each in (of_chart, of_program)]
        assert of_chart == of_program
        assert configs[0].keys() >= {"store"}
        read = [settings_of(Config, yaml.safe_dump(each).encode(), "args") for each in configs]
        assert read[0] == read[1], of_chart["name"]
    assert found == expected


# What Kubernetes and the operators say of it.


@every_example
def test_helm_finds_nothing_wrong(name: str) -> None:
    report = helm_python.lint(CHART, EVERY_EXAMPLE[name], strict=True)
    assert [found for found in report["messages"] if found["severity"] > 1] == []


@pytest.mark.parametrize("name", [*EVERY_EXAMPLE, "everything"])
def test_every_manifest_is_as_its_schema_says(name: str) -> None:
    manifests = rendered({**EVERY_EXAMPLE, "everything": EVERYTHING}[name])
    assert {
        manifest["kind"]: found for manifest in manifests if (found := wrong_in(manifest))
    } == {}


def test_metrics_are_named_as_the_shipped_prometheus_names_them() -> None:
    monitor = of_kind(rendered(EVERYTHING), "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    shipped = yaml.safe_load((ROOT / "deploy" / "observe" / "prometheus.yaml").read_text())
    (job,) = shipped["scrape_configs"]
    assert endpoint["metricRelabelings"] == [
        {to_camel(key): value for key, value in rule.items()}
        for rule in job["metric_relabel_configs"]
    ]


def test_a_key_that_nobody_knows_is_found_wherever_it_is_planted() -> None:
    """Quantities alone may have any name, as a resource has."""
    for manifest in rendered(EVERYTHING):
        for path in places(manifest):
            if path and path[-1] in ("limits", "requests"):
                continue
            planted = deepcopy(manifest)
            part = planted
            for key in path:
                part = part[key]
            part["planted"] = 1
            assert wrong_in(planted), f"{manifest['kind']}: {path}"


@pytest.mark.parametrize(
    ("planted", "named"),
    [
        ({"grups": {}}, "grups"),
        ({"groups": {"serve": {"maximum": 3}}}, "maximum"),
        ({"groups": {"gpu": {}}}, "gpu"),
        ({"groups": {"serve": {"cpus": "1"}}}, "cpus"),
        ({"config": {"serve": {"prot": 80}}}, "prot"),
        ({"config": {"placement": {"trainers": {}}}}, "trainers"),
        ({"config": {"adapters": {"main": {"gate": {"drop": 1}}}}}, "drop"),
        ({"config": {"encoder": {"precision": "fp8"}}}, "precision"),
        ({"upgrade": {"strategy": "Recreate"}}, "strategy"),
        ({"weights": {"sha256": "abc"}}, "sha256"),
        ({"ingress": {"host": "https://nacre.example.com"}}, "host"),
        # Of what Kubernetes knows, a misspelt key would be dropped without a word.
        ({"groups": {"serve": {"resources": {"limts": {"memory": "3Gi"}}}}}, "limts"),
        ({"groups": {"serve": {"resources": {"limits": {"memory": "3gb"}}}}}, "memory"),
        ({"groups": {"serve": {"tolerations": [{"keey": "gpu"}]}}}, "keey"),
        ({"groups": {"serve": {"affinity": {"nodeAfinity": {}}}}}, "nodeAfinity"),
        ({"head": {"env": [{"nmae": "A", "value": "1"}]}}, "nmae"),
        ({"head": {"env": [{"name": "A", "value": 1}]}}, "value"),
        ({"head": {"securityContext": {"runAsUsr": 1}}}, "runAsUsr"),
        ({"head": {"volumeMounts": [{"name": "a", "path": "/a"}]}}, "path"),
        ({"networkPolicy": {"apiFrom": [{"podSelector": {"matchLabel": {}}}]}}, "matchLabel"),
        # A part that is named, with nothing below it, takes away what the chart says of it.
        ({"groups": None}, "groups"),
        ({"groups": {"encode": None}}, "encode"),
        ({"global": None}, "global"),
    ],
)
def test_a_value_that_nobody_knows_is_refused_by_its_name(
    planted: dict[str, Any], named: str
) -> None:
    with pytest.raises(helm_python.HelmValuesError, match=named):
        rendered(merged(LEAST, **planted))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"auth": {"existingSecret": ""}}, "NACRE_TOKEN"),
        ({"config": {"store": ""}}, "config.store"),
        ({"config": {"store": "file:///store"}}, "store.existingClaim"),
        ({"config": {"store": "s3:/nacre"}}, "s3://"),
        ({"config": {"ray": "local"}}, "config.ray auto"),
        ({"config": {"serve": None}}, "leave them out"),
        ({"config": {"serve": {"port": None}}}, "leave them out"),
        ({"config": {"serve": {"port": 80}}}, "1024 or more"),
        ({"config": {"serve": {"port": 8265}}}, "Ray listens on"),
        ({"config": {"serve": {"port": 10500}}}, "Ray listens on"),
        ({"config": {"serve": {"host": "127.0.0.1"}}}, "other pods reach"),
        ({"config": {"serve": {"adapters": ["birds"]}}}, "among config.serve.adapters"),
        ({"config": {"cache_bytes": 20 * 2**30}}, "scratch above config.cache_bytes"),
        ({"head": {"scratch": "500M"}}, "head.scratch above config.cache_bytes"),
        ({"config": {"serve": {"replicas": {"min": 1}}}}, "never becomes ready"),
        ({"groups": {"serve": {"min": 0}}}, "somebody must answer"),
        ({"groups": {"learn": {"min": 0}}}, "the coordinator is always there"),
        ({"groups": {"learn": {"min": 5}}}, "at most its max"),
        ({"groups": {"serve": {"max": 2}}}, "waits for ever"),
        ({"config": {"serve": {"replicas": {"max": 5}}}}, "waits for ever"),
        ({"drainSeconds": 100}, "terminationGracePeriodSeconds"),
        ({"gcsFaultTolerance": {"backend": "redis"}}, "redis.address"),
        ({"weights": {"url": "https://example.com/w"}}, "weights.sha256"),
        ({"upgrade": {"strategy": "NewClusterWithIncrementalUpgrade"}}, "gatewayClassName"),
        ({"ingress": {"enabled": True}}, "ingress.host"),
    ],
)
def test_what_could_not_run_is_refused_with_what_to_do(values: dict[str, Any], said: str) -> None:
    with pytest.raises(helm_python.HelmRenderError, match=said):
        rendered(merged(LEAST, **values))


def test_the_operator_has_nothing_to_refuse() -> None:
    """What KubeRay 1.7 checks besides its schema."""
    for values in (*EVERY_EXAMPLE.values(), EVERYTHING):
        service = service_of(values)
        cluster = service["spec"]["rayClusterConfig"]
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        # Resources stand in one place, labels not among parameters; the version is that of tokens.
        assert [group["rayStartParams"] for group in groups] == [{}] * len(groups)
        assert tuple(map(int, cluster["rayVersion"].split(".")[:2])) >= (2, 52)
        assert all(
            "restartPolicy" not in template["spec"] for template in pod_templates(service).values()
        )
        assert all(each["minReplicas"] <= each["maxReplicas"] for each in groups[1:])
        assert cluster["autoscalerOptions"]["version"] == "v2"  # or idleTimeoutSeconds is refused
        assert "RAY_REDIS_ADDRESS" not in str(groups)


@every_example
def test_serve_itself_reads_what_it_is_told(name: str) -> None:
    written = yaml.safe_load(service_of(EVERY_EXAMPLE[name])["spec"]["serveConfigV2"])
    read = ServeDeploySchema.model_validate(written)
    assert [each.name for each in read.applications] == [application(role) for role in EVERY_ROLE]


def test_rays_own_autoscaler_reads_the_groups() -> None:
    service = service_of(EXAMPLES["five-nodes"])
    cluster = {
        "metadata": {"name": "production", "namespace": "ml"},
        "spec": service["spec"]["rayClusterConfig"],
    }
    read = _derive_autoscaling_config_from_ray_cr(cluster)
    types = read["available_node_types"]
    assert types.keys() == {"headgroup", "serve", "encode", "learn"}
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert types["serve"]["resources"]["nacre-replica"] == 1
    assert types["encode"]["resources"]["GPU"] == 1
    for group in ("serve", "encode", "learn"):
        assert types[group]["labels"] == {"nacre-group": group}
    assert (types["encode"]["min_workers"], types["encode"]["max_workers"]) == (0, 4)
    assert types["encode"]["idle_timeout_s"] == 600


def test_the_longest_name_of_a_release_is_one_that_the_operator_takes() -> None:
    for name in ("n" * 53, "nacre", f"a{'-b' * 26}"):
        found = of_kind(rendered(LEAST, name=name), "RayService")["metadata"]["name"]
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", found)


def test_a_key_that_is_left_empty_says_nothing() -> None:
    """As it happens to whoever comments out what is below it."""
    empty = {"resources": None, "tolerations": None, "env": None, "nodeSelector": None}
    values = merged(LEAST, groups={"learn": empty}, **{"global": {"imageRegistry": None}})
    template = pod_templates(service_of(values))["learn"]
    assert container(template)["resources"] == {}
    assert container(template)["image"] == "nacre:0.1.0"


def test_there_is_no_test_where_no_adapter_is_named_for_it() -> None:
    values = merged(LEAST, test={"adapter": ""}, config={"serve": {"adapters": ["birds"]}})
    assert not [each for each in rendered(values) if each["kind"] == "Pod"]
    assert "helm -n ml test" not in notes(values)
    assert "helm -n ml test" in notes(LEAST)


# What was seen on a real Kubernetes.


def test_only_pods_that_serve_are_behind_the_service() -> None:
    """By the name of the port: KubeRay writes the selector itself, and all ready pods are in it."""
    service = service_of(EXAMPLES["five-nodes"])
    assert service["spec"]["excludeHeadPodFromServeSvc"] is True
    (port,) = service["spec"]["serveService"]["spec"]["ports"]
    assert (port["name"], port["targetPort"]) == ("serve", "serve")
    named = {
        group
        for group, template in pod_templates(service).items()
        if "serve" in {each["name"] for each in container(template)["ports"]}
    }
    assert named == {"head", "serve"}


def test_a_pod_without_a_replica_is_ready_by_its_raylet_and_one_that_serves_as_kuberay_says() -> (
    None
):
    probes = {
        group: container(template).get("readinessProbe", {}).get("httpGet")
        for group, template in pod_templates(service_of(EXAMPLES["five-nodes"])).items()
    }
    raylet = {"path": "/api/healthz", "port": PORTS["health"]}
    assert probes == {"head": None, "serve": None, "encode": raylet, "learn": raylet}


def test_with_an_upgrade_in_steps_kuberay_makes_the_service_and_all_probes_are_its_own() -> None:
    """Its Service knows no named port, so that a ready pod without a proxy would be behind it."""
    templates = pod_templates(service_of(EVERYTHING))
    assert all("readinessProbe" not in container(template) for template in templates.values())


def test_a_replica_fills_a_pod_so_that_one_more_is_one_more_pod() -> None:
    service = service_of(EXAMPLES["five-nodes"])
    applications = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    (api,) = (each for each in applications if each["name"] == "nacre-api")
    config = api["args"]["config"]
    groups = {
        each["groupName"]: each for each in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    }
    assert config["placement"]["api"]["resources"] == {"nacre-replica": 1}
    assert groups["serve"]["resources"]["nacre-replica"] == "1"
    assert config["serve"]["replicas"] == {"min": 3, "max": 5}


def test_every_role_finds_a_group_that_is_there() -> None:
    for values in EVERY_EXAMPLE.values():
        manifests = rendered(values)
        cluster = of_kind(manifests, "RayService")["spec"]["rayClusterConfig"]
        config = configuration_in(manifests)
        for role, place in config["placement"].items():
            fitting = [
                group
                for group in cluster["workerGroupSpecs"]
                if place["labels"].items() <= group["labels"].items()
                and place.get("gpus", 0) <= int(group["resources"].get("GPU", 0))
            ]
            assert fitting, role


def test_a_group_that_begins_at_none_asks_for_encoders_on_gpus() -> None:
    manifests = rendered(EXAMPLES["five-nodes"])
    config = configuration_in(manifests)
    assert config["workers"]["encoders"] == {"min": 0, "max": 4}
    assert config["placement"]["shard_encoder"] == {"gpus": 1, "labels": {"nacre-group": "encode"}}
    service = of_kind(manifests, "RayService")
    (group,) = (
        each
        for each in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
        if each["groupName"] == "encode"
    )
    assert (group["minReplicas"], group["idleTimeoutSeconds"]) == (0, 600)
    pod = container(group["template"])
    assert pod["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert pod["image"] == "registry.example.com/nacre:0.1.0-cuda"


@every_example
def test_pods_are_as_a_careful_cluster_wants_them(name: str) -> None:
    templates = pod_templates(service_of(EVERY_EXAMPLE[name]))
    for group, template in templates.items():
        spec, own = template["spec"], container(template)
        assert spec["enableServiceLinks"] is False  # NACRE_…_SVC_PORT would be read as a key
        assert spec["automountServiceAccountToken"] is (group == "head")
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own["securityContext"]["readOnlyRootFilesystem"] is True
        assert own["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        mounted = {each["mountPath"] for each in own["volumeMounts"]}
        assert mounted >= {"/tmp", "/var/lib/nacre", "/etc/nacre", "/dev/shm"}
        assert own["resources"]["limits"].keys() >= {"cpu", "memory"}


@every_example
def test_ray_counts_what_the_chart_says_and_nothing_on_the_head(name: str) -> None:
    cluster = service_of(EVERY_EXAMPLE[name])["spec"]["rayClusterConfig"]
    assert cluster["headGroupSpec"]["resources"]["CPU"] == "0"
    assert all(int(each["resources"]["CPU"]) >= 1 for each in cluster["workerGroupSpecs"])


@every_example
def test_a_pod_has_time_to_drain_and_to_stop_before_it_is_killed(name: str) -> None:
    templates = pod_templates(service_of(EVERY_EXAMPLE[name]))
    for group, template in templates.items():
        own = container(template)
        env = {each["name"]: each.get("value") for each in own["env"]}
        drain = int(env["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"])
        if group == "head":
            assert (drain, "lifecycle" in own) == (0, False)  # a new one waits for its volume
            continue
        _, waited = own["lifecycle"]["preStop"]["exec"]["command"]
        assert drain >= 60
        assert int(waited) + drain + 30 <= template["spec"]["terminationGracePeriodSeconds"]


def test_a_changed_configuration_changes_no_pod_but_for_where_it_listens() -> None:
    def pods(**config: Any) -> Any:
        return pod_templates(service_of(merged(LEAST, config=config)))

    assert pods() == pods(adapters={"*": {"method": "rail"}}, workers={"trainers": 3})
    assert pods() != pods(serve={"port": 8001})


# Who reaches what.

ANYBODY = ("default", {"app": "shop"})
PROMETHEUS = ("monitoring", {"app.kubernetes.io/name": "prometheus"})
OPERATOR = ("kuberay", {"app.kubernetes.io/name": "kuberay-operator"})
OF_RELEASE = {"app.kubernetes.io/name": "nacre", "app.kubernetes.io/instance": "production"}
HAPROXY = (8404, 9101)
"""Of its stats and of its metrics, where nobody has said others."""


def has(labels: dict[str, str], selector: Manifest) -> bool:
    known = {
        "In": lambda value, them: value in them,
        "NotIn": lambda value, them: value not in them,
    }
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        known[each["operator"]](labels.get(each["key"]), each["values"])
        for each in selector.get("matchExpressions", ())
    )


def let_in(
    policies: list[Manifest], component: str, port: int, peer: tuple[str, dict[str, str]]
) -> bool:
    """Return whether a pod may be asked at a port by another pod, as NetworkPolicies are read."""
    target = {**OF_RELEASE, "app.kubernetes.io/component": component}
    namespace, labels = peer

    def is_peer(who: Manifest) -> bool:
        spaces = who.get("namespaceSelector")
        there = {"kubernetes.io/metadata.name": namespace}
        in_space = namespace == "ml" if spaces is None else has(there, spaces)
        return in_space and has(labels, who.get("podSelector", {}))

    over = [each["spec"] for each in policies if has(target, each["spec"]["podSelector"])]
    assert over, "without a policy everything is open"
    return any(
        ("from" not in rule or any(map(is_peer, rule["from"])))
        and ("ports" not in rule or port in {each["port"] for each in rule["ports"]})
        for policy in over
        for rule in policy["ingress"]
    )


def policies_of(values: dict[str, Any]) -> list[Manifest]:
    return [each for each in rendered(values) if each["kind"] == "NetworkPolicy"]


@pytest.mark.parametrize("component", ["head", "serve", "encode", "learn"])
def test_from_outside_nothing_is_open_but_the_api_the_metrics_and_the_operators_way(
    component: str,
) -> None:
    policies = policies_of(LEAST)
    ports = {*PORTS.values(), 6379, 10001, *HAPROXY}
    for peer, of_peer in ((ANYBODY, set[int]()), (PROMETHEUS, {8080}), (OPERATOR, set[int]())):
        expected = {*of_peer, *({8000} if component == "serve" else ())}
        expected |= {8265} if (peer, component) == (OPERATOR, "head") else set()
        assert {port for port in ports if let_in(policies, component, port, peer)} == expected


def test_pods_of_a_release_reach_each_other_and_those_of_another_one_do_not() -> None:
    policies = policies_of(LEAST)
    own, other = ("ml", OF_RELEASE), ("ml", {**OF_RELEASE, "app.kubernetes.io/instance": "other"})
    assert let_in(policies, "learn", 6379, own)
    assert not let_in(policies, "learn", 6379, other)
    assert not let_in(policies, "learn", 6379, ("default", OF_RELEASE))


def test_the_api_is_open_to_whom_the_values_name() -> None:
    policies = policies_of(EXAMPLES["five-nodes"])
    assert let_in(policies, "serve", 8000, ("gateway", {}))
    assert not let_in(policies, "serve", 8000, ANYBODY)


def test_what_pods_send_is_limited_where_the_api_server_is_named() -> None:
    assert all("egress" not in each["spec"] for each in policies_of(LEAST))
    (policy,) = (each for each in policies_of(EXAMPLES["five-nodes"]) if "egress" in each["spec"])
    ports = [{port["port"] for port in rule.get("ports", ())} for rule in policy["spec"]["egress"]]
    assert ports == [set(), {53}, {6443}, {443}]


# Values of each group, images and secrets.

OF_A_GROUP: dict[str, Any] = {
    "image": "nacre:built-here",
    "pullPolicy": "Never",
    "env": [{"name": "AWS_REGION", "value": "eu-central-1"}],
    "envFrom": [{"configMapRef": {"name": "proxy"}}],
    "volumes": [{"name": "more", "emptyDir": {}}],
    "volumeMounts": [{"name": "more", "mountPath": "/more"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClass": "high",
    "runtimeClass": "nvidia",
    "podSecurityContext": {"runAsUser": 1000},
    "securityContext": {"readOnlyRootFilesystem": False},
    "labels": {"team": "ml"},
    "annotations": {"sidecar.istio.io/inject": "false"},
    "resources": {"limits": {"memory": "5Gi"}},
    "sharedMemory": "3Gi",
    "scratch": "30Gi",
}


@pytest.mark.parametrize("group", ["head", "serve", "encode", "learn"])
def test_each_group_takes_what_its_pods_need_to_be(group: str) -> None:
    own = merged({"head": OF_A_GROUP} if group == "head" else {"groups": {group: OF_A_GROUP}})
    base = merged(LEAST, groups={"encode": {"max": 1}})
    service = service_of(merged(base, **own))
    assert wrong_in(service) == []
    template = pod_templates(service)[group]
    spec, made = template["spec"], container(template)
    assert (made["image"], made["imagePullPolicy"]) == ("nacre:built-here", "Never")
    assert OF_A_GROUP["env"][0] in made["env"]
    assert OF_A_GROUP["envFrom"][0] in made["envFrom"]
    assert OF_A_GROUP["volumeMounts"][0] in made["volumeMounts"]
    assert OF_A_GROUP["volumes"][0] in spec["volumes"]
    assert (spec["nodeSelector"], spec["tolerations"]) == (
        OF_A_GROUP["nodeSelector"],
        OF_A_GROUP["tolerations"],
    )
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("high", "nvidia")
    assert spec["securityContext"] == {"runAsUser": 1000}
    assert made["securityContext"] == {"readOnlyRootFilesystem": False}
    assert template["metadata"]["labels"]["team"] == "ml"
    assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    assert made["resources"]["limits"]["memory"] == "5Gi"
    sizes = {each["name"]: each.get("emptyDir", {}).get("sizeLimit") for each in spec["volumes"]}
    assert (sizes["memory"], sizes["scratch"]) == ("3Gi", "30Gi")
    others = {k: v for k, v in pod_templates(service).items() if k != group}
    assert all(container(each)["image"] != "nacre:built-here" for each in others.values())
    assert OF_A_GROUP.keys() <= set(chart().values["groups"]["serve"])


def test_the_groups_of_the_chart_are_those_of_the_types() -> None:
    assert chart().values["groups"].keys() == {"serve", "encode", "learn"}
    assert len(chart().values["groups"]["learn"]) == len(Group.__dataclass_fields__)


def test_an_image_is_named_by_registry_tag_or_digest() -> None:
    pods = pod_templates(service_of(EVERYTHING))
    digest = f"registry.example.com/mirror/nacre@sha256:{'0' * 64}"
    assert {container(each)["image"] for each in pods.values()} == {digest}
    assert container(pod_templates(service_of(LEAST))["learn"])["image"] == "nacre:0.1.0"


def test_secrets_are_named_and_never_written() -> None:
    manifests = rendered(LEAST)
    assert not [each for each in manifests if each["kind"] == "Secret"]
    own = container(pod_templates(of_kind(manifests, "RayService"))["serve"])
    names = {each["name"]: each.get("valueFrom") for each in own["env"]}
    assert names["NACRE_TOKEN"] == {"secretKeyRef": {"name": "nacre-tokens", "key": "NACRE_TOKEN"}}
    assert {"secretRef": {"name": "nacre-store"}} in own["envFrom"]


def test_a_token_is_made_where_that_is_asked_for() -> None:
    values = EXAMPLES["one-machine"]
    made_twice = [of_kind(rendered(values, name=name), "Secret") for name in ("one", "other")]
    tokens = {each["data"]["NACRE_TOKEN"] for each in made_twice}
    assert len(tokens) == 2
    assert all(len(token) >= 50 for token in tokens)


def test_a_service_account_is_what_the_cloud_trusts() -> None:
    manifests = rendered(EXAMPLES["web-identity"])
    account = of_kind(manifests, "ServiceAccount")
    assert account["metadata"]["annotations"].keys() == {"eks.amazonaws.com/role-arn"}
    templates = pod_templates(of_kind(manifests, "RayService")).values()
    assert {each["spec"]["serviceAccountName"] for each in templates} == {
        account["metadata"]["name"]
    }
    assert all("envFrom" not in container(each) for each in templates)
    # What Amazon's webhook puts into each pod beside what the chart says.
    role = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    token = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
    put = {"AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": token}
    for each in templates:
        said = {entry["name"]: entry.get("value", "x") for entry in container(each)["env"]}
        expected = f"the role {role}, which https://sts.eu-central-1.amazonaws.com gives for"
        assert source_of({**said, **put}).said.startswith(expected)
        assert each["spec"]["securityContext"]["fsGroup"]  # else only root may read the token


def test_at_most_one_pod_that_serves_is_taken_away_at_a_time() -> None:
    spec = of_kind(rendered(LEAST), "PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["selector"]["matchLabels"]["app.kubernetes.io/component"] == "serve"


def test_the_notes_say_where_it_is_and_what_the_operator_must_allow() -> None:
    said = notes(LEAST)
    assert "http://production-nacre-serve-svc.ml:8000" in said
    assert "GCSFaultToleranceEmbeddedStorage" in said
    assert "refused until replicas answer" in notes(EXAMPLES["one-machine"])


# The programs in it.


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    file = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    file.write_bytes(b"weights")
    yield file


def loaded(file: Path, folder: Path, digest: str) -> subprocess.CompletedProcess[str]:
    env = {"WEIGHTS_URL": file.as_uri(), "WEIGHTS_SHA256": digest, "WEIGHTS_FOLDER": str(folder)}
    program = [sys.executable, str(CHART / "files" / "weights.py")]
    return subprocess.run(program, env=env, capture_output=True, text=True, check=False)


def test_weights_are_loaded_and_checked(weights: Path, tmp_path: Path) -> None:
    right = hashlib.sha256(b"weights").hexdigest()
    assert loaded(weights, tmp_path, right).returncode == 0
    assert (tmp_path / weights.name).read_bytes() == b"weights"
    wrong = loaded(weights, tmp_path, "0" * 64)
    assert wrong.returncode == 1
    assert f"found {right}" in wrong.stderr
    assert not (tmp_path / weights.name).exists()
