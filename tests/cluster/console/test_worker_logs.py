"""What workers wrote, on the page of a submission: for whoever may submit, and as text."""

import pytest

from tests.support.scenes.console import Console, learnt, queued
from tests.support.scenes.work_logs import wrote
from workers.access.roles import AccessRole
from workers.queue.ticket import Stage


@pytest.fixture(scope="module")
def console() -> Console:
    made = learnt("cars")
    queued(made.store, "birds", stage=Stage.FAILED)
    wrote(made.store, "birds-0123456789ab")
    return made


PAGE = "/submissions/birds-0123456789ab"


def test_whoever_may_submit_reads_what_a_worker_wrote_with_its_traceback(console: Console) -> None:
    with console.visited(role=AccessRole.SUBMITTER) as anna:
        html = anna.shown(PAGE)
    assert "What workers wrote" in html
    assert "trainer, training, attempt 1" in html
    assert "the &lt;b&gt;matrix&lt;/b&gt; is singular" in html


def test_whoever_may_only_look_does_not(console: Console) -> None:
    with console.visited(role=AccessRole.VIEWER) as anna:
        html = anna.shown(PAGE)
    assert "singular" not in html
    assert "What workers wrote" not in html
