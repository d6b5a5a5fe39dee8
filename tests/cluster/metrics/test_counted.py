"""What a real Prometheus counts of two replicas, against what they were sent."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from cluster.config import Config, ReplicasConfig, ServeConfig
from cluster.runtime.names import API
from tests.support.drivers.killing import API as REPLICA
from tests.support.drivers.prometheus import Prometheus, program
from tests.support.drivers.ray_nodes import kill_youngest
from tests.support.drivers.s3_server import free_port

pytestmark = pytest.mark.ray

TIMEOUT_S = 600.0
SENT = 'sum(nacre_requests_total{route="/v1/methods"})'


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where two replicas answer, which tell Ray's agent every second what they count."""
    program("prometheus")
    import ray
    from ray import serve

    from cluster.system import system

    folder = tmp_path_factory.mktemp("counted")
    config = Config(
        store=f"file://{folder / 'store'}",
        serve=ServeConfig(port=free_port(), haproxy=False, replicas=ReplicasConfig(min=2, max=2)),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_metrics_report_interval_ms", "1000")
        patch.setenv("NACRE_HOME", str(folder / "home"))
        os.environ.pop("NACRE_TOKEN", None)
        system.check(config)  # which also makes the store
        system.connect(config)
        try:
            system.start(config, roles=[API])
            yield config.endpoint
        finally:
            serve.shutdown()
            ray.shutdown()


@pytest.fixture(scope="module")
def prometheus(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Return a Prometheus that scrapes the agent of the node where `endpoint` answers."""
    assert endpoint
    import ray

    nodes = [f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}" for node in ray.nodes()]
    with Prometheus(tmp_path_factory.mktemp("prometheus"), nodes) as running:
        yield running


def send(endpoint: str, count: int) -> None:
    """Send requests that are counted, over connections of their own so that both replicas get some;
    each is answered.
    """
    for _ in range(count):
        assert httpx.get(f"{endpoint}/v1/methods", timeout=180).status_code == 200


def until(holds: Callable[[], Any]) -> Any:
    """Return what `holds()` says once it says something."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := holds()):
        assert time.monotonic() < deadline, "it does not come to hold"
        time.sleep(0.3)
    return found


def by_replica(prometheus: Prometheus) -> Counter[str]:
    found = prometheus.query('sum by (WorkerId) (nacre_requests_total{route="/v1/methods"})')
    return Counter({labels["WorkerId"]: int(value) for labels, value in found})


def sent_as_told(endpoint: str) -> float:
    """Return the same as /v1/metrics says it."""
    text = httpx.get(f"{endpoint}/v1/metrics", timeout=180).text
    lines = [line for line in text.splitlines() if line.startswith("nacre_requests_total{")]
    of_route = [line for line in lines if 'route="/v1/methods"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in of_route)


def test_two_replicas_are_counted_exactly_over_a_kill_of_one(
    endpoint: str, prometheus: Prometheus
) -> None:
    from ray import serve

    from cluster.runtime.names import API, application

    until(lambda: prometheus.query("nacre_inflight_requests"))
    assert prometheus.value(SENT) in (None, 0.0)
    send(endpoint, 40)
    until(lambda: prometheus.value(SENT) == 40)
    counted = by_replica(prometheus)
    assert len(counted) == 2
    assert all(counted.values())  # both were asked, and neither is counted for both

    assert kill_youngest(os.getpid(), REPLICA)

    def are_two() -> bool:
        (found,) = serve.status().applications[application(API)].deployments.values()
        return dict(found.replica_states) == {"RUNNING": 2}

    until(lambda: not are_two())
    until(are_two)
    send(endpoint, 30)
    until(lambda: prometheus.value(SENT) == 70)
    # What the dead one had counted is still there, and nothing twice, however long one waits.
    assert sum(by_replica(prometheus).values()) == 70
    assert len(by_replica(prometheus)) == 3


def test_whichever_replica_is_asked_says_the_same(endpoint: str, prometheus: Prometheus) -> None:
    counted = prometheus.value(SENT)
    assert {sent_as_told(endpoint) for _ in range(8)} == {counted}
    # No request of that kind is sent from here on: soon none is said to have come.
    until(lambda: prometheus.value(f"max(increase({SENT[4:-1]}[20s]))") == 0.0)
    assert prometheus.value(SENT) == counted


def test_names_are_as_documented_and_have_no_created_series(prometheus: Prometheus) -> None:
    from workers.metrics.families import FAMILIES

    names = {labels["__name__"] for labels, _ in prometheus.query('{__name__=~"nacre_.+"}')}
    suffixes = ("_bucket", "_count", "_sum")
    found = {name if name.endswith("_total") else _without(name, suffixes) for name in names}
    assert found <= {family.name for family in FAMILIES}
    assert {"nacre_build_info", "nacre_request_duration_seconds", "nacre_requests_total"} <= found


def _without(name: str, suffixes: tuple[str, ...]) -> str:
    return next((name.removesuffix(each) for each in suffixes if name.endswith(each)), name)


def test_the_sum_of_a_histogram_is_the_time_that_was_measured(
    prometheus: Prometheus,
) -> None:
    route = '{route="/v1/methods"}'
    total = prometheus.value(f"sum(nacre_request_duration_seconds_sum{route})")
    count = prometheus.value(f"sum(nacre_request_duration_seconds_count{route})")
    infinite = prometheus.value(
        'sum(nacre_request_duration_seconds_bucket{route="/v1/methods",le="+Inf"})'
    )
    assert count == infinite == 70
    assert total is not None
    assert 0 < total < TIMEOUT_S * 70


def test_a_replica_says_of_itself_what_metrics_call_it(
    endpoint: str, prometheus: Prometheus
) -> None:
    asked = (httpx.get(f"{endpoint}/v1/status", timeout=180).json() for _ in range(40))
    named = {each["in_metrics"]: each["replica"] for each in asked}
    assert len(named) == len(set(named.values())) == 2

    def labels() -> set[str]:
        return {each["replica"] for each, _ in prometheus.query("nacre_inflight_requests")}

    until(lambda: labels() >= named.keys())
