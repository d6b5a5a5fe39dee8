"""Pages: each answers for every role, works without scripts, and loads nothing from elsewhere."""

import re
from collections.abc import Iterator

import pytest

from cluster.console.entrance import HEADERS
from cluster.console.pages.routes import PAGE_ROUTES
from tests.support.scenes.console import Console, Visitor, learnt, queued
from workers.access.roles import AccessRole
from workers.queue.ticket import Cause, Failure, Stage

FILLED = {"adapter": "main", "version": "1", "submission": "birds-0123456789ab", "task": "cars"}
EMPTY = Console()


def path_of(path: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: FILLED[found[1]], path)


PATHS = [path_of(route.path) for route in PAGE_ROUTES]


@pytest.fixture(scope="module")
def console() -> Console:
    made = learnt("cars", "dogs", "cats")
    failure = Failure(stage=Stage.TRAINING, cause=Cause.FAULT, error="a <b>tag</b>", at=5.0)
    queued(made.store, "birds", stage=Stage.FAILED, failures=(failure,))
    queued(made.store, "boats", stage=Stage.TRAINING)
    return made


@pytest.fixture(scope="module")
def anna(console: Console) -> Iterator[Visitor]:
    with console.visited() as visitor:
        yield visitor


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_there_and_has_the_strict_headers(anna: Visitor, path: str) -> None:
    answer = anna.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", PATHS)
def test_no_page_names_another_host_or_has_a_style_or_a_script_in_it(
    anna: Visitor, path: str
) -> None:
    html = anna.shown(path)
    assert not re.findall(r"""(?:src|href|action)=["']?(?:https?:)?//""", html)
    assert not re.findall(r"\son\w+=|\sstyle=|<style|<script(?![^>]*\ssrc=)", html)


@pytest.mark.parametrize("role", [AccessRole.VIEWER, AccessRole.SUBMITTER, AccessRole.OPERATOR])
def test_every_page_answers_whoever_may_look(console: Console, role: AccessRole) -> None:
    with console.visited(role=role) as visitor:
        for path in PATHS:
            assert visitor.get(path).status_code == 200, path


def test_pages_of_an_empty_store_say_so() -> None:
    with EMPTY.visited() as visitor:
        assert "Nothing has been learnt yet" in visitor.shown()
        assert "The queue is empty" in visitor.shown("/queue")
        assert visitor.get("/adapters/main/versions").status_code == 404


def test_what_is_not_there_is_said_on_a_page(anna: Visitor) -> None:
    for path in ("/nothing", "/adapters/none/versions", "/adapters/main/versions/99"):
        answer = anna.get(path)
        assert answer.status_code == 404
        assert "To the overview" in answer.text
    assert anna.get("/submissions/no-such").status_code == 404


def test_what_others_have_written_is_text_on_a_page(anna: Visitor) -> None:
    html = anna.shown("/submissions/birds-0123456789ab")
    assert "a &lt;b&gt;tag&lt;/b&gt;" in html
    assert "<b>tag" not in html


def test_the_queue_is_filtered_by_its_address(anna: Visitor) -> None:
    assert "boats" in anna.shown("/queue?stage=training")
    assert "boats" not in anna.shown("/queue?stage=failed")
    assert "birds" not in anna.shown("/queue?q=boat")


def test_what_somebody_may_not_look_at_is_not_on_their_pages(console: Console) -> None:
    with console.visited(role=AccessRole.VIEWER) as visitor:
        queued(console.store, "secret", adapter="other", stage=Stage.WAITING)
        assert "secret" not in visitor.shown("/queue")
        assert visitor.get("/submissions/secret-0123456789ab").status_code == 404


def test_the_history_can_be_had_as_csv(anna: Visitor) -> None:
    answer = anna.get("/history?format=csv")
    assert answer.headers["Content-Type"].startswith("text/csv")
    lines = answer.text.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("main,2,")


def test_a_task_can_be_saved_as_a_file_without_being_submitted(anna: Visitor) -> None:
    answer = anna.send("/tasks/new", do="save", name="birds", images="train", classes="a: an a")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="task.yaml"'
    assert "name: birds" in answer.text
    assert "  a: an a" in answer.text
