"""Dashboard, alerts and runbooks: they fit each other, and what nacre counts."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from docs.dashboards import PAGE, expressions, page
from tests.support.drivers.prometheus import OBSERVE, concrete, program
from workers.metrics import Kind
from workers.metrics.families import FAMILIES

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"\bnacre_[a-z_]+")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((OBSERVE / "alerts.yaml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def asked() -> Iterator[tuple[str, str]]:
    """Yield every expression of the dashboard and of the alerts, with what it is for."""
    yield from ((title, concrete(expression)) for title, expression in expressions())
    yield from ((rule["alert"], rule["expr"]) for rule in rules())


def counted() -> set[str]:
    """Return every name that a series of nacre may have."""
    names = {family.name for family in FAMILIES if family.kind is not Kind.HISTOGRAM}
    histograms = [family.name for family in FAMILIES if family.kind is Kind.HISTOGRAM]
    suffixes = ("_bucket", "_count", "_sum")
    return names | {f"{name}{suffix}" for name in histograms for suffix in suffixes}


def test_the_dashboard_is_the_one_that_the_program_makes() -> None:
    assert PAGE.read_text() == page(), "`make docs` makes it anew"


@pytest.mark.parametrize(("what", "expression"), list(asked()))
def test_an_expression_can_be_read_and_asks_for_what_is_counted(what: str, expression: str) -> None:
    promql_parser.parse(expression)
    names = set(NAME.findall(expression))
    assert names, what
    assert names <= counted()


def test_every_alert_says_how_bad_it_is_and_has_a_runbook_that_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        text = (OBSERVE / rule["annotations"]["runbook_url"]).read_text()
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert parts == ["What one sees", "Why", "What to do", "It is over when", "Followed"]


def test_every_runbook_is_that_of_an_alert_and_on_the_page_of_operations() -> None:
    named = {Path(rule["annotations"]["runbook_url"]).name for rule in rules()}
    assert {path.name for path in (OBSERVE / "runbooks").iterdir()} == named
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in named if f"runbooks/{name}" not in operations} == set()
    assert {rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in operations} == set()


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    cases = yaml.safe_load((OBSERVE / "alerts_test.yaml").read_text())["tests"]
    fired = {
        each["alertname"]
        for case in cases
        for each in case["alert_rule_test"]
        if each["exp_alerts"]
    }
    assert fired == {rule["alert"] for rule in rules()}


def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=OBSERVE, capture_output=True, text=True, check=False)


def test_alerts_fire_where_they_should_and_only_there() -> None:
    promtool = program("promtool")
    for command in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = run([promtool, *command])
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_the_configuration_of_prometheus_is_one() -> None:
    promtool = program("promtool")
    done = run([promtool, "check", "config", "prometheus.yaml"])
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
