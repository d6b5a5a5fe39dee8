"""Errors lead to the page of operations, and every section of it is led to."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from adapters import errors, guidance
from adapters.errors import (
    DamagedFileError,
    ForkedError,
    NacreError,
    StoreRefusedError,
    UnavailableError,
)
from adapters.guidance import HELP, OF_KIND, PAGE, Section, help_of, help_of_kind
from cluster.cli.terminal.failures import show_error
from cluster.client.attempts import named_error
from cluster.wire.problems import error_document, problem_document

ROOT = Path(__file__).parents[1]
OBSERVE = ROOT / "deploy" / "observe"
OPERATIONS = (ROOT / PAGE).read_text()
LINK = re.compile(r"docs/operations\.md#([\w-]+)")


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")


def _failures() -> dict[str, str]:
    """Return the sections about failures, by what their headings are made to."""
    (part,) = re.findall(r"^## Failures\n(.*?)(?=^## )", OPERATIONS, re.MULTILINE | re.DOTALL)
    found = re.split(r"^### (.+)\n", part, flags=re.MULTILINE)[1:]
    return dict(zip(map(_anchor, found[::2]), found[1::2], strict=True))


def _of_alerts() -> dict[str, str]:
    """Return the section that the runbook of each alert leads to."""
    (group,) = yaml.safe_load((OBSERVE / "alerts.yaml").read_text())["groups"]
    books = {rule["alert"]: OBSERVE / rule["annotations"]["runbook_url"] for rule in group["rules"]}
    return {alert: LINK.findall(book.read_text())[0] for alert, book in books.items()}


def test_every_section_is_led_to_by_an_alert_or_an_error_and_all_lead_to_one() -> None:
    led_to = {*map(str, Section), *_of_alerts().values()}
    assert led_to == _failures().keys()


def test_a_section_names_the_runbooks_that_lead_to_it() -> None:
    for alert, anchor in _of_alerts().items():
        book = re.sub(r"(Fast|Slow)$", "", alert) if "Budget" in alert else alert
        assert f"runbooks/{book}.md" in _failures()[anchor], alert


def test_every_link_from_a_runbook_is_to_a_heading() -> None:
    headings = {_anchor(each) for each in re.findall(r"^#+ (.+)$", OPERATIONS, re.MULTILINE)}
    for book in (OBSERVE / "runbooks").iterdir():
        assert set(LINK.findall(book.read_text())) <= headings, book.name


def test_every_section_is_named_by_a_kind_or_by_the_code_that_raises_it() -> None:
    named = {section for _, section in OF_KIND if section}
    code = "".join(
        path.read_text()
        for folder in ("cluster", "workers")
        for path in (ROOT / folder).rglob("*.py")
    )
    for section in Section:
        assert section in named or f"Section.{section.name}" in code, section


def test_no_kind_is_hidden_behind_a_wider_one() -> None:
    kinds = [kind for kind, _ in OF_KIND]
    for place, kind in enumerate(kinds):
        assert not [wider for wider in kinds[:place] if issubclass(kind, wider)], kind


def test_an_error_says_its_section_on_every_road(capsys: pytest.CaptureFixture[str]) -> None:
    error = ForkedError("the store has lost a change")
    expected = f"{PAGE}#the-store-has-lost-changes"
    show_error(error)
    assert capsys.readouterr().err == f"error: {error.message} (see {expected})\n"
    assert error_document(error).help == expected
    assert problem_document(503, "ForkedError", "lost").help == expected


def test_an_error_may_name_its_section_itself_and_takes_it_over_http() -> None:
    error = UnavailableError("it is away", help=Section.STORE_AWAY)
    document = error_document(error)
    assert document.help == f"{PAGE}#the-store-is-away"
    again = named_error(document.title, document.detail, 503, more=document.help or "")
    assert help_of(again) == document.help
    odd = named_error("ForkedError", "x", 503, more="docs/operations.md#\x1b[2J")
    assert help_of(odd) == help_of_kind(ForkedError)
    assert help_of(UnavailableError("x", help="elsewhere")) is None


def test_what_is_no_failure_of_the_system_has_no_section() -> None:
    for kind in (errors.InputError, errors.NotFoundError, UnavailableError, DamagedFileError):
        assert help_of_kind(kind) is None
    assert help_of_kind(StoreRefusedError) is not None
    assert help_of(NacreError("x")) is None


def test_json_of_a_command_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from cluster.cli import main

    monkeypatch.setenv("NACRE_HOME", str(tmp_path))
    monkeypatch.setenv("NACRE_STORE", "s3://bucket/x?endpoint=http://127.0.0.1:9")
    monkeypatch.setenv("NACRE_S3_ACCESS_KEY", "someone")
    monkeypatch.setenv("NACRE_S3_SECRET_KEY", "something")
    monkeypatch.setattr("sys.argv", ["nacre", "versions", "--output", "json"])
    with CliRunner().isolation() as (_, err, _):
        assert main.run() == 4
        said = json.loads(err.getvalue().decode().splitlines()[-1])
    assert said["help"] == f"{PAGE}#the-store-is-away"
    assert (HELP, guidance.PAGE) == ("help", PAGE)
