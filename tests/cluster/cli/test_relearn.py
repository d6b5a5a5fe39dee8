"""`nacre relearn` as people call it: what it would take, what it submits, and what it says then."""

from pathlib import Path

import pytest

from tests.support.drivers.command import Command
from tests.support.drivers.learning import carried_out, small_task, submitted
from tests.support.drivers.printed import as_promised
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.queue.progress import read_queue
from workers.store import FileStore
from workers.tasks.submission import read_submission, swept_key

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """Return a store in which one task was learnt."""
    found = FileStore(tmp_path / "store")
    path = small_task(EXAMPLES, tmp_path, "fashion", classes=2, images=4)
    carried_out(found, Encoder(EncoderSettings()), submitted(found, path))
    return found


def test_it_says_what_it_takes_submits_and_says_how_to_go_over(
    nacre: Command, store: FileStore
) -> None:
    told = nacre("relearn", "main", "--encoder", "tiny-vit", "--dry-run")
    assert told.code == 0, told.err
    assert "12 images" in told.out
    assert "of encoding and" in told.out
    assert told.out.endswith("nothing was submitted\n")
    assert not [state for state in read_queue(store).states if state.ticket.branch]
    ended = nacre("relearn", "main", "--encoder", "tiny-vit", "--output", "json")
    asked = as_promised("relearn", ended.out)
    (name,) = asked["submissions"]
    assert (asked["alias"], asked["source"], asked["images"]) == ("tiny-vit", 1, 12)
    carried_out(store, Encoder(EncoderSettings()), read_submission(store, name))
    again = nacre("relearn", "--encoder", "tiny-vit", "--wait")
    assert "nothing is to be submitted: main@tiny-vit has all" in again.out
    said = " ".join(nacre("promote", "tiny-vit").err.split())
    assert "the next task builds on version 1, which was learnt under another encoder" in said
    moved = nacre("promote", "tiny-vit", "--with-head")
    assert moved.out == "production and head now at version 2\n"
    assert nacre("rollback", "1").out == "production and head now at version 1\n"


def test_images_that_are_gone_are_named_and_nothing_is_submitted(
    nacre: Command, store: FileStore
) -> None:
    (state,) = read_queue(store).states
    store.put(swept_key(state.ticket.submission_id), b"{}")
    refused = nacre("relearn", "main", "--encoder", "tiny-vit")
    assert refused.code == 2
    said = " ".join(refused.err.split())
    assert "'fashion': its images were removed some days after it had ended" in said
    assert "nothing was submitted" in said
    assert not [state for state in read_queue(store).states if state.ticket.branch]
