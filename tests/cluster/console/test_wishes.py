"""What users of other registries and dashboards have asked for, for years; a test for each wish."""

import pytest

from tests.support.scenes.console import Console, Visitor, answered, learnt, queued
from tests.support.scenes.registry import adapter, learn
from workers.queue.leadership import read_leadership
from workers.queue.ticket import Cause, Failure, Stage

ROLLBACK = "/adapters/main/rollback/1"


@pytest.fixture
def console() -> Console:
    return learnt("cars", "dogs", "cats")


def rolled_back(visitor: Visitor, **changed: str) -> str:
    sent = {"why": "dogs are cats", "typed": "1", "serving_only": "no", **changed}
    return str(visitor.send(ROLLBACK, **sent).text)


def test_mlflow_2169_who_moved_production_when_and_why(console: Console) -> None:
    with console.visited() as anna:
        rolled_back(anna)
        html = anna.shown("/history?action=rollback")
    assert "production 3 → 1" in html
    assert "dogs are cats" in html
    assert "<td>anna</td>" in html
    assert "<time datetime=" in html


def test_mlflow_6180_a_rollback_first_shows_what_is_lost_and_wants_a_reason(
    console: Console,
) -> None:
    with console.visited() as anna:
        html = anna.shown(ROLLBACK)
        assert "Lost: 2 tasks with 20 classes." in html
        assert "dogs" in html
        assert "cats" in html
        assert "expected a reason" in rolled_back(anna, why="")
        assert "typed once more" in rolled_back(anna, typed="2")
        assert console.client.aliases()["production"] == 3
        assert "Version 1 of main is in production" in rolled_back(anna)
    assert console.client.aliases() == {"head": 1, "production": 1}


def test_a_rollback_that_would_lose_something_else_by_now_is_not_done(console: Console) -> None:
    with console.visited() as anna:
        anna.shown(ROLLBACK)
        learn(adapter(console.store), "birds")
        assert "has moved to 4" in rolled_back(anna, seen="3")
    assert console.client.aliases()["production"] == 4


def test_a_rollback_may_leave_head_and_can_be_taken_back_from_the_history(
    console: Console,
) -> None:
    with console.visited() as anna:
        rolled_back(anna, serving_only="yes")
        assert console.client.aliases() == {"head": 3, "production": 1}
        assert "/console/adapters/main/promote/3" in anna.shown("/history")
        anna.send("/adapters/main/promote/3", alias="production", why="right after all", typed="3")
    assert console.client.aliases() == {"head": 3, "production": 3}


def test_mlflow_4806_one_accuracy_over_all_versions(console: Console) -> None:
    with console.visited() as anna:
        html = anna.shown("/adapters/main/matrix")
    assert html.count('class="h9 learnt"') == 3
    assert "mean <b>90.0 %</b>" in html


def test_mlflow_3843_wrong_images_side_by_side_for_two_versions() -> None:
    with answered().visited() as anna:
        html = anna.shown("/adapters/main/compare?before=1&after=2")
        won, lost = html.split("<h4>")[1:3]
        assert "1 won, 1 lost of 4 images" in html
        assert "/pictures/cars-0123456789ab/1/3.jpg" in won
        assert 'main@1: <b class="wrong">thing a</b><br>main@2: <b>thing b</b>' in won
        assert "/pictures/cars-0123456789ab/1/1.jpg" in lost
        assert "within chance" in html
        assert "Candidates were 2 classes for main@1 and 4 for main@2" in html


def test_flower_662_the_queue_survives_a_restart_of_the_console(console: Console) -> None:
    queued(console.store, "birds", stage=Stage.PUBLISHED, version=3)
    for _ in range(2):
        with console.visited() as anna:
            assert "birds" in anna.shown("/queue?stage=published")


def test_flower_912_a_long_queue_is_shown_in_pages_and_can_be_searched(console: Console) -> None:
    from dataclasses import replace

    from tests.support.scenes.submissions import submission
    from tests.support.scenes.tickets import write_tickets
    from workers.queue.progress import ticket_of

    tickets = [
        replace(ticket_of(submission(f"t{n:04d}")), stage=Stage.WAITING) for n in range(1_000)
    ]
    write_tickets(console.store, tickets)
    with console.visited() as anna:
        html = anna.shown("/queue?from=900")
        assert "901 to 1000 of 1,000" in html
        assert "t0999" in html
        assert "t0899" not in html
        assert "t0777" in anna.shown("/queue?q=0777")


def test_flower_1348_what_has_failed_is_tried_again_with_one_button(console: Console) -> None:
    failure = Failure(stage=Stage.TRAINING, cause=Cause.FAULT, error="out of memory", at=5.0)
    ticket = queued(console.store, "birds", stage=Stage.FAILED, failures=(failure,))
    path = f"/submissions/{ticket.submission_id}"
    with console.visited() as anna:
        assert "out of memory" in anna.shown(path)
        assert "Try again</button>" in anna.shown(path)
        assert "Asked to try again" in anna.send(path, do="retry").text
        marked = anna.send("/queue", do="retry", id=[ticket.submission_id])
        assert "Asked to try again 1 submission." in marked.text
    assert console.client.queue().unread == 2


def test_ray_dashboard_everything_is_readable_after_the_cluster_is_gone(console: Console) -> None:
    queued(console.store, "birds", stage=Stage.TRAINING)
    lead = read_leadership(console.store)
    assert lead is not None
    with console.visited() as anna:
        html = anna.shown()
        assert "Nobody coordinates the queue" in html
        assert "main@3" in html
        assert "birds" in anna.shown("/queue")
        assert "Nobody coordinates the queue" in anna.shown("/queue")


def test_pausing_is_asked_for_and_undone_with_one_button(console: Console) -> None:
    with console.visited() as anna:
        html = anna.send("/queue", do="pause", of="main").text
        assert "Asked to pause main" in html
        assert 'value="resume"' in html


def test_a_task_is_dropped_with_a_reason_and_its_name_typed(console: Console) -> None:
    path = "/adapters/main/tasks/dogs/remove"
    with console.visited() as anna:
        assert "typed once more" in anna.send(path, do="drop", why="no longer sold", typed="").text
        sent = anna.send(path, do="drop", why="no longer sold", typed="dogs")
        assert "Version 4 of main is without dogs." in sent.text
    assert [task.task for task in console.client.show("head").manifest.tasks] == ["cars", "cats"]


def test_search_finds_tasks_versions_and_submissions(console: Console) -> None:
    queued(console.store, "birds", stage=Stage.WAITING)
    with console.visited() as anna:
        assert "/console/adapters/main/versions/2" in anna.shown("/search?q=main@2")
        assert "dogs" in anna.shown("/search?q=dog")
        assert "birds-0123456789ab" in anna.shown("/search?q=birds")
        assert "Nothing has" in anna.shown("/search?q=zebra")
