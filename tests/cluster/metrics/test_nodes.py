"""Pages of Ray's agents, put together."""

from cluster.metrics.exposition import exposition
from cluster.metrics.nodes import Page, merged, own_name

ONE = """
# HELP ray_nacre_requests_total Requests.
# TYPE ray_nacre_requests_total counter
ray_nacre_requests_total{WorkerId="a",adapter="main",code="200",route="/v1/predict"} 3.0
ray_nacre_requests_total{WorkerId="b",adapter="main",code="200",route="/v1/predict"} 4.0
ray_nacre_batch_images_bucket_total{WorkerId="a",le="1"} 1.0
ray_nacre_batch_images_bucket_total{WorkerId="a",le="+Inf"} 2.0
ray_nacre_batch_images_count_total{WorkerId="a"} 2.0
ray_nacre_batch_images_sum_total{WorkerId="a"} 9.0
ray_nacre_coordinator_lead{WorkerId="dead"} 0.0
ray_nacre_coordinator_lead{WorkerId="a"} 1.0
ray_nacre_unheard_of_total{WorkerId="a"} 9.0
ray_tasks{State="RUNNING"} 7.0
"""
TWO = """
ray_nacre_requests_total{WorkerId="c",adapter="main",code="200",route="/v1/predict"} 5.0
"""
SHOWN = """\
# HELP nacre_requests_total Requests that a replica has answered, by route, status, and adapter \
where it serves it.
# TYPE nacre_requests_total counter
nacre_requests_total{adapter="main",code="200",node="here:1",route="/v1/predict"} 7.0
nacre_requests_total{adapter="main",code="200",node="there:2",route="/v1/predict"} 5.0
# HELP nacre_batch_images Images that were embedded together.
# TYPE nacre_batch_images histogram
nacre_batch_images_bucket{le="1",node="here:1"} 1.0
nacre_batch_images_bucket{le="+Inf",node="here:1"} 2.0
nacre_batch_images_count{node="here:1"} 2.0
nacre_batch_images_sum{node="here:1"} 9.0
# HELP nacre_coordinator_lead 1 where this system coordinates the queue; 0 where another does or \
nobody can.
# TYPE nacre_coordinator_lead gauge
nacre_coordinator_lead{node="here:1"} 1.0
"""


def test_counters_of_a_node_are_added_up_and_of_gauges_the_largest_counts() -> None:
    pages = [Page(node="here:1", text=ONE), Page(node="there:2", text=TWO)]
    assert exposition(merged(pages)).decode() == SHOWN


def test_a_node_that_does_not_answer_is_left_out_and_takes_nothing_from_the_others() -> None:
    pages = [Page(node="here:1", text=None), Page(node="there:2", text=TWO)]
    (found,) = merged(pages)
    assert (found.value, found.labels["node"]) == (5.0, "there:2")


def test_names_are_those_of_the_families_whatever_ray_has_put_around_them() -> None:
    assert own_name("ray_nacre_requests_total") == "nacre_requests_total"
    assert own_name("ray_nacre_batch_images_count_total") == "nacre_batch_images_count"
    assert own_name("ray_nacre_coordinator_lead") == "nacre_coordinator_lead"
