"""The dashboard of Grafana: `make docs`.

    python -m docs.dashboards    writes deploy/observe/dashboards/nacre.json

Every expression stands here; tests/deploy/test_observe.py parses each, and `make prove-observe`
asks a live Prometheus for each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
)

PAGE = Path(__file__).parents[1] / "deploy" / "observe" / "dashboards" / "nacre.json"
SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
WINDOW = "$__rate_interval"
WIDTH, HEIGHT = 8, 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """One chart.

    Attributes:
        title: What is seen.
        unit: Grafana's name of it.
        lines: Legend and expression of each line.
        says: How it is read, where the title does not say so.
    """

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    says: str = ""


def _quantile(of: float, family: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({of}, sum by ({labels}) (rate({family}_bucket[{WINDOW}])))"


def _rate(family: str, by: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({family}{where}[{WINDOW}]))"


ADAPTER = '{adapter=~"$adapter|"}'
ROWS: dict[str, tuple[Chart, ...]] = {
    "State": (
        Chart(
            title="Who coordinates",
            unit="short",
            lines=(
                ("lead", "max(nacre_coordinator_lead)"),
                ("epoch", "max(nacre_coordinator_epoch)"),
            ),
            says="Lead is 1 on the system that carries the queue. Every change of it is an epoch.",
        ),
        Chart(
            title="What keeps it from coordinating",
            unit="s",
            lines=(("for", "max(nacre_coordinator_trouble_seconds)"),),
        ),
        Chart(
            title="What runs",
            unit="short",
            lines=(("{{version}} {{commit}}", "count by (version, commit) (nacre_build_info)"),),
            says="Processes by what they run. Two lines are an update that is under way.",
        ),
    ),
    "Requests": (
        Chart(
            title="Answers by status",
            unit="reqps",
            lines=(("{{code}}", _rate("nacre_requests_total", "code", ADAPTER)),),
        ),
        Chart(
            title="Time of a prediction",
            unit="s",
            lines=(
                ("half", _quantile(0.5, "nacre_request_duration_seconds")),
                ("95 of 100", _quantile(0.95, "nacre_request_duration_seconds")),
                ("99 of 100", _quantile(0.99, "nacre_request_duration_seconds")),
            ),
        ),
        Chart(
            title="Under way, by replica",
            unit="short",
            lines=(("{{replica}}", "max by (replica) (nacre_inflight_requests)"),),
        ),
        Chart(
            title="Images of a batch",
            unit="short",
            lines=(
                (
                    "mean",
                    f"sum(rate(nacre_batch_images_sum[{WINDOW}])) / "
                    f"sum(rate(nacre_batch_images_count[{WINDOW}]))",
                ),
                ("95 of 100", _quantile(0.95, "nacre_batch_images")),
            ),
        ),
        Chart(
            title="Batches, by why they were closed",
            unit="ops",
            lines=(("{{closed}}", _rate("nacre_batches_total", "closed")),),
            says="Where most are full, more replicas answer sooner.",
        ),
        Chart(
            title="Parts of a request, 95 of 100",
            unit="s",
            lines=(
                ("decode", _quantile(0.95, "nacre_decode_duration_seconds")),
                ("forward", _quantile(0.95, "nacre_forward_duration_seconds")),
            ),
        ),
        Chart(
            title="Predictions by task",
            unit="ops",
            lines=(
                (
                    "{{adapter}} {{task}}",
                    f"topk(10, {_rate('nacre_predictions_total', 'adapter, task', ADAPTER)})",
                ),
            ),
        ),
        Chart(
            title="How sure answers are",
            unit="percentunit",
            lines=(
                ("half, {{adapter}}", _quantile(0.5, "nacre_prediction_confidence", "adapter")),
            ),
        ),
    ),
    "Versions and swaps": (
        Chart(
            title="Number that answers",
            unit="short",
            lines=(
                (
                    "{{adapter}} {{replica}}",
                    f"max by (adapter, replica) (nacre_version_number{ADAPTER})",
                ),
            ),
        ),
        Chart(
            title="Age of what answers",
            unit="s",
            lines=(
                (
                    "{{adapter}}",
                    f"time() - max by (adapter) (nacre_version_created_timestamp_seconds{ADAPTER})",
                ),
            ),
        ),
        Chart(
            title="Since `production` was seen",
            unit="s",
            lines=(("{{replica}}", "max by (replica) (nacre_version_staleness_seconds)"),),
        ),
        Chart(
            title="Swaps in an hour, and their time",
            unit="short",
            lines=(
                (
                    "swaps, {{adapter}}",
                    "sum by (adapter) (increase(nacre_swap_duration_seconds_count[1h]))",
                ),
                (
                    "mean time, {{adapter}}",
                    "sum by (adapter) (increase(nacre_swap_duration_seconds_sum[1h])) / "
                    "sum by (adapter) (increase(nacre_swap_duration_seconds_count[1h]))",
                ),
            ),
        ),
        Chart(
            title="Refused version",
            unit="short",
            lines=(
                (
                    "{{adapter}} {{replica}}",
                    f"max by (adapter, replica) (nacre_refused_version{ADAPTER})",
                ),
                (
                    "refusals in an hour, {{adapter}}",
                    "sum by (adapter) (increase(nacre_refusals_total[1h]))",
                ),
            ),
        ),
        Chart(
            title="Accuracy of what answers",
            unit="percentunit",
            lines=(
                (
                    "{{adapter}} {{task}}",
                    f"max by (adapter, task) (nacre_task_accuracy_ratio{ADAPTER})",
                ),
            ),
        ),
    ),
    "Queue": (
        Chart(
            title="Submissions by stage",
            unit="short",
            lines=(
                (
                    "{{stage}}",
                    f"sum by (stage) (max by (stage, adapter) (nacre_submissions{ADAPTER}))",
                ),
            ),
        ),
        Chart(
            title="Age of the oldest",
            unit="s",
            lines=(
                ("oldest", "max(nacre_oldest_submission_age_seconds)"),
                ("under way", "max(nacre_submissions_under_way)"),
            ),
        ),
        Chart(
            title="Ended in an hour",
            unit="short",
            lines=(
                (
                    "{{outcome}}",
                    "sum by (outcome) (increase(nacre_submissions_ended_total[1h]))",
                ),
            ),
        ),
        Chart(
            title="Stages that did not end well, in an hour",
            unit="short",
            lines=(
                (
                    "{{stage}} {{reason}}",
                    "sum by (stage, reason) (increase(nacre_attempts_total[1h]))",
                ),
            ),
        ),
        Chart(
            title="Mean time of a stage",
            unit="s",
            lines=(
                (
                    "{{stage}}",
                    "sum by (stage) (increase(nacre_stage_duration_seconds_sum[1h])) / "
                    "sum by (stage) (increase(nacre_stage_duration_seconds_count[1h]))",
                ),
            ),
        ),
        Chart(
            title="Verdicts of the gate in a day",
            unit="short",
            lines=(
                (
                    "{{adapter}} {{verdict}}",
                    f"sum by (adapter, verdict) (increase(nacre_gate_total{ADAPTER}[1d]))",
                ),
            ),
        ),
    ),
    "Encoders and learning": (
        Chart(
            title="Images encoded",
            unit="ops",
            lines=(("{{device}}", _rate("nacre_images_encoded_total", "device")),),
        ),
        Chart(
            title="Shards that wait",
            unit="short",
            lines=(("shards", "max(nacre_shards_waiting)"),),
        ),
        Chart(
            title="Training steps",
            unit="ops",
            lines=(("{{method}}", _rate("nacre_training_steps_total", "method")),),
        ),
    ),
    "Store": (
        Chart(
            title="Operations",
            unit="ops",
            lines=(("{{operation}}", _rate("nacre_store_requests_total", "operation")),),
        ),
        Chart(
            title="What did not go well",
            unit="ops",
            lines=(
                (
                    "{{result}}",
                    _rate("nacre_store_requests_total", "result", '{result!~"done|absent"}'),
                ),
            ),
            says="Conflicts are usual where several change one adapter. The others are trouble.",
        ),
        Chart(
            title="Time of an operation, 95 of 100",
            unit="s",
            lines=(
                (
                    "{{operation}}",
                    _quantile(0.95, "nacre_store_request_duration_seconds", "operation"),
                ),
            ),
        ),
        Chart(
            title="Credentials: for how long they count",
            unit="s",
            lines=(("{{source}}", "min by (source) (nacre_credentials_left_seconds)"),),
            says="A saw. Where it falls below a quarter of its height, none are given. Nothing is "
            "shown of keys that have no end.",
        ),
        Chart(
            title="Credentials: for how long asked for in vain",
            unit="s",
            lines=(("{{source}}", "max by (source) (nacre_credentials_trouble_seconds)"),),
        ),
        Chart(
            title="Credentials: what came of asking",
            unit="short",
            lines=(
                (
                    "{{source}} {{answer}}",
                    f"sum by (source, answer) (increase(nacre_credential_answers_total[{WINDOW}]))",
                ),
            ),
        ),
    ),
}


def expressions() -> Iterator[tuple[str, str]]:
    """Yield title and expression of every line."""
    for charts in ROWS.values():
        for chart in charts:
            for _, expression in chart.lines:
                yield chart.title, expression


def page() -> str:
    """Return the dashboard as JSON."""
    made = (
        dashboard.Dashboard("nacre")
        .uid("nacre")
        .tags(["nacre"])
        .description("What nacre does and how it is. Alerts and runbooks: docs/operations.md.")
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Console")
            .type(DashboardLinkType.LINK)
            .url("${console}")
            .target_blank(True)
        )
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("adapter")
            .label("Adapter")
            .datasource(SOURCE)
            .query("label_values(nacre_version_number, adapter)")
            .include_all(True)
            .all_value(".*")
            .multi(True)
        )
        .with_variable(
            dashboard.TextBoxVariable("console")
            .label("Address of the console")
            .default_value("http://127.0.0.1:8001/console")
        )
    )
    for title, charts in ROWS.items():
        made = made.with_row(dashboard.Row(title))
        for chart in charts:
            made = made.with_panel(_panel(chart))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


def _panel(chart: Chart) -> timeseries.Panel:
    panel = (
        timeseries.Panel()
        .title(chart.title)
        .description(chart.says)
        .unit(chart.unit)
        .datasource(SOURCE)
        .min(0)
        .span(WIDTH)
        .height(HEIGHT)
    )
    for legend, expression in chart.lines:
        panel = panel.with_target(
            prometheus.Dataquery().expr(expression).legend_format(legend).range()
        )
    return panel


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page())
