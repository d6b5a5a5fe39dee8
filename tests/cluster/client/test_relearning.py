"""Shared states in a store: dropping, purging, exporting and importing, with real training."""

import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner

from adapters.adapter import Adapter
from adapters.errors import InputError, NotFoundError
from adapters.methods.dmc.shared_state import DmcState
from cluster.cli.main import cli
from cluster.client.client import Client
from cluster.client.relearning import others_relearnt
from cluster.config import AdapterConfig, Config
from cluster.stores.s3 import S3Store
from tests.support.drivers.learning import carried_out, small_task, submitted
from tests.support.drivers.printed import as_promised
from tests.support.drivers.s3_server import S3Server
from tests.support.fakes.dying_store import killed_at_every_write
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.learning.handover import checkpoint_key, hand_over
from workers.queue.ticket import Stage
from workers.registry import Author, Manifest, Registry, holding_of
from workers.registry.record_cache import Versions
from workers.store import FileStore, MemoryStore, ObjectStore
from workers.tasks.submission import find_submission, read_submission, swept_key

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
METHOD = "dmc_ot"
SETTINGS = {"adapter": "feature", "prompts": "none", "image_epochs": 3, "image_learning_rate": 1e-2}
NAMES = ("fashion", "digits", "clip-art", "sketched-things")


@dataclass(frozen=True, kw_only=True, slots=True)
class Learnt:
    """A store in which four tasks were learnt, one in which `digits` never was, and an encoder."""

    client: Client
    without: ObjectStore
    encoder: Encoder

    @property
    def store(self) -> ObjectStore:
        """The store of the client."""
        return self.client.store

    def carry_out(self, submissions: Sequence[str]) -> None:
        """Let the queue learn what was submitted again."""
        asked = [read_submission(self.store, name) for name in submissions]
        states = carried_out(self.store, self.encoder, *asked, method=METHOD)
        assert {state.ticket.stage for state in states} <= {Stage.PUBLISHED}, states

    def answers(self, store: ObjectStore, version: int, adapter: str = "main") -> torch.Tensor:
        """Return the scores of some random features by a version."""
        state = Versions(store).state(adapter, version)
        images = torch.randn(9, self.encoder.width, generator=torch.Generator().manual_seed(4))
        found = Adapter(state.records, shared=state.shared).score(
            torch.nn.functional.normalize(images, dim=1),
            encoder=self.encoder.fingerprint,
            logit_scale=self.encoder.logit_scale,
        )
        return found.values


def find_task(store: ObjectStore, submission: str) -> str:
    return read_submission(store, submission).task


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ObjectStore, Encoder]:
    torch.set_num_threads(1)
    folder, encoder = tmp_path_factory.mktemp("relearning"), Encoder(EncoderSettings())
    whole, without = FileStore(folder / "store"), MemoryStore()
    for number, name in enumerate(NAMES):
        path = small_task(EXAMPLES, folder, name, classes=2, images=4)
        content: dict[str, Any] = yaml.safe_load(path.read_text()) | {"shared_names": "keep"}
        # A later task of a higher priority: what is learnt again keeps the order all the same.
        content |= {"settings": SETTINGS, "priority": number}
        path.write_text(yaml.safe_dump(content))
        for store in (whole, without) if name != "digits" else (whole,):
            submission = submitted(store, path, now=float(number), method=METHOD)
            carried_out(store, encoder, submission, method=METHOD)
    return folder / "store", without, encoder


@pytest.fixture
def learnt(stores: tuple[Path, ObjectStore, Encoder], tmp_path: Path) -> Learnt:
    folder, without, encoder = stores
    shutil.copytree(folder, tmp_path / "store")
    client = Client(config_of(tmp_path / "store"), by="anna")
    return Learnt(client=client, without=without, encoder=encoder)


def config_of(folder: Path) -> Config:
    return Config(store=f"file://{folder}", adapters={"main": AdapterConfig(method=METHOD)})


def content_of(manifest: Manifest) -> tuple[list[tuple[str, str]], str | None]:
    tasks = [(task.task, task.record.sha256) for task in manifest.tasks]
    return tasks, manifest.shared.sha256 if manifest.shared else None


def test_what_is_learnt_again_is_as_if_the_dropped_task_had_never_been(learnt: Learnt) -> None:
    client = learnt.client
    with pytest.raises(InputError, match=r"'clip-art', 'sketched-things' were learnt.*--relearn"):
        client.drop("digits")
    dropped = client.drop("digits", relearn=True, promoted=True, why="mislabelled")
    assert [task.task for task in dropped.manifest.tasks] == ["fashion"]
    names = [find_submission(client.store, name) for name in dropped.relearnt]
    assert [each.task for each in names if each] == ["clip-art", "sketched-things"]
    assert [each.generation for each in names if each] == [2, 2]
    assert client.drop("digits", relearn=True) == dropped  # as whoever was broken off does
    learnt.carry_out(dropped.relearnt)
    expected = Versions(learnt.without).registry.adapter("main").manifest(3)
    found = client.show("production").manifest
    assert (found.number, content_of(found)) == (7, content_of(expected))
    assert len(DmcState.of(Versions(client.store).state("main", 7)).chain) == 2
    assert client.drop("digits", relearn=True).relearnt == ()
    with pytest.raises(NotFoundError, match="no task 'digits'"):
        client.drop("digits")


def test_production_answers_with_the_old_version_until_all_is_learnt_again(
    learnt: Learnt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACRE_STORE", learnt.store.url)
    monkeypatch.delenv("NACRE_CONFIG", raising=False)
    told = CliRunner().invoke(cli, ["drop", "fashion", "--relearn", "--promote"])
    assert told.exit_code == 0
    assert "fashion dropped: head now at version 5" in told.stdout
    assert "production stays at version 4 until what is learnt again" in told.stderr.replace(
        "\n", " "
    )
    again = learnt.client.drop("fashion", relearn=True, promoted=True).relearnt
    learnt.carry_out(again)
    moves = [entry.moves.get("production") for entry in learnt.client.history()]
    assert moves[:5] == [(4, 8), None, None, None, (3, 4)]
    assert [task.task for task in learnt.client.show("production").manifest.tasks] == [*NAMES[1:]]
    note = learnt.client.show(6).manifest.provenance.notes["gate"]
    assert note.endswith("until 'clip-art', 'sketched-things' are learnt again")


def test_what_is_learnt_again_is_learnt_before_what_waits_to_replace_it(
    learnt: Learnt, tmp_path: Path
) -> None:
    path = small_task(EXAMPLES, tmp_path, "clip-art", classes=2, images=3)
    content: dict[str, Any] = yaml.safe_load(path.read_text()) | {"shared_names": "keep"}
    path.write_text(yaml.safe_dump({**content, "settings": SETTINGS, "replaces": "clip-art"}))
    waiting = submitted(learnt.store, path, now=9.0, method=METHOD)
    dropped = learnt.client.drop("digits", relearn=True)
    assert learnt.client.drop("digits", relearn=True) == dropped
    learnt.carry_out([waiting.submission_id, *dropped.relearnt])
    found = learnt.client.show("production").manifest
    assert [task.task for task in found.tasks] == ["fashion", "sketched-things", "clip-art"]
    assert found.has_submission(waiting.submission_id)


def test_after_a_purge_nothing_of_the_task_is_left_and_what_was_lost_with_it_is_learnt_again(
    learnt: Learnt,
) -> None:
    client, store = learnt.client, learnt.store
    tainted = [client.show(number).manifest.shared for number in (2, 3, 4)]
    half = checkpoint_key(client.show(4).manifest.tasks[-1].submission)
    hand_over(store, half, b"what a training that failed has left")
    with pytest.raises(InputError, match=r"still in head \(version \d+\), production \("):
        client.purge("digits")
    client.rollback(1)
    assert client.held("digits").versions == (2, 3, 4)
    purged = client.purge("digits", relearn=True, why="consent withdrawn")
    assert purged.versions == (2, 3, 4)
    assert half in purged.keys
    stored = {listed.key.rsplit("/", 1)[1] for listed in store.list("adapters/")}
    assert stored.isdisjoint(each.sha256 for each in tainted if each)
    assert client.verify().clean
    learnt.carry_out(purged.relearnt)
    expected = Versions(learnt.without).registry.adapter("main").manifest(3)
    found = client.show("production").manifest
    assert content_of(found) == content_of(expected)
    answers = learnt.answers(store, found.number)
    assert torch.equal(answers, learnt.answers(learnt.without, 3))


def test_what_was_purged_before_is_not_learnt_again_with_others(learnt: Learnt) -> None:
    client = learnt.client
    client.rollback(1)
    client.purge("digits")
    purged = client.purge("clip-art", relearn=True)
    assert [find_task(learnt.store, name) for name in purged.relearnt] == ["sketched-things"]
    learnt.carry_out(purged.relearnt)
    found = client.show("production").manifest
    assert [task.task for task in found.tasks] == ["fashion", "sketched-things"]


def test_what_somebody_purges_meanwhile_is_not_learnt_again(learnt: Learnt) -> None:
    client = learnt.client
    adapter = Registry(learnt.store).adapter("main")
    client.rollback(1)
    holding = holding_of(adapter, adapter.refs(), "digits")
    client.purge("digits")
    client.purge("clip-art")
    again = others_relearnt(adapter, holding, by=Author(who="anna", why="", now=9.0))
    assert [find_task(learnt.store, name) for name in again] == ["sketched-things"]


@pytest.mark.parametrize("verb", ["drop", "purge"])
def test_whoever_is_killed_on_the_way_and_calls_again_has_lost_nothing(
    learnt: Learnt, verb: str
) -> None:
    if verb == "purge":
        learnt.client.rollback(1)

    def call(client: Client) -> object:
        return getattr(client, verb)("digits", relearn=True)

    seen = []
    for write, store in killed_at_every_write(learnt.store, call, learnt.client.config):
        client = Client(learnt.client.config, store=store)
        waiting = [state.ticket.submission_id for state in client.queue().states]
        again = [name.rsplit("-", 2)[0] for name in waiting if name.endswith("-2")]
        tasks = [task.task for task in client.show("head").manifest.tasks]
        left = {each.key for each in store.list("shards/")}
        seen.append((again, tasks, left, client.verify().clean))
        assert seen[-1] == seen[0], write
    again, tasks, _, is_clean = seen[0]
    assert (again, tasks, is_clean) == (["clip-art", "sketched-things"], ["fashion"], True)


@pytest.fixture(params=["folder", "bucket"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Return an empty store of either kind."""
    if request.param == "folder":
        return FileStore(tmp_path / "elsewhere")
    server: S3Server = request.getfixturevalue("s3_server")
    return S3Store(replace(server.settings, prefix=f"{uuid.uuid4().hex}/"))


def test_an_imported_version_has_the_whole_chain_and_answers_to_the_bit(
    learnt: Learnt, elsewhere: ObjectStore, tmp_path: Path
) -> None:
    other = Client(config_of(tmp_path / "unused"), by="ben", store=elsewhere)
    for number in (4, 2):
        learnt.client.export(number, tmp_path / f"{number}.tar")
        imported = other.import_(tmp_path / f"{number}.tar", aliases=(f"was-{number}",))
        there, here = imported.manifest.number, Versions(learnt.store).state("main", number)
        found = Versions(elsewhere).state("main", there)
        assert len(DmcState.of(found).chain) == number - 1
        assert found.shared is not None and here.shared is not None
        assert found.shared.digest == here.shared.digest
        answers = learnt.answers(elsewhere, there)
        assert torch.equal(answers, learnt.answers(learnt.store, number))
    assert other.gc(dry_run=False, grace_s=0)["adapters/main/"].keys == ()
    assert other.verify().clean


def test_a_task_whose_images_have_expired_is_named_and_nothing_is_moved(learnt: Learnt) -> None:
    client, store = learnt.client, learnt.store
    clip_art = client.show("head").manifest.task("clip-art").submission
    store.put(swept_key(clip_art), b'{"schema":1,"at":1.0}')
    before = client.aliases(), len(client.queue().states)
    expected = rf"again from .*: 'clip-art' \({clip_art}\): its images were removed"
    for verb in (client.drop, client.purge):
        client.rollback(1 if verb == client.purge else 4)
        with pytest.raises(InputError, match=expected):
            verb("digits", relearn=True)
    client.rollback(4)
    assert (client.aliases(), len(client.queue().states)) == before


def test_a_command_says_what_is_refused_and_what_is_learnt_again(
    learnt: Learnt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACRE_STORE", learnt.store.url)
    monkeypatch.delenv("NACRE_CONFIG", raising=False)
    refused = CliRunner().invoke(cli, ["drop", "digits"])
    assert refused.exit_code != 0
    told = CliRunner().invoke(cli, ["drop", "clip-art", "--relearn"])
    assert told.exit_code == 0
    assert told.stderr.startswith("note: replicas answer with version 4 as before")
    assert "clip-art dropped: head now at version 5" in told.stdout
    assert "learnt again, in this order: sketched-things-" in told.stdout.replace("\n", " ")
    printed = CliRunner().invoke(cli, ["drop", "digits", "--relearn", "--output", "json"])
    document = as_promised("drop", printed.stdout)
    assert (document["task"], document["version"], document["relearnt"]) == ("digits", 6, [])


def test_a_purging_command_says_what_is_learnt_again(
    learnt: Learnt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NACRE_STORE", learnt.store.url)
    monkeypatch.delenv("NACRE_CONFIG", raising=False)
    learnt.client.rollback(1)
    purged = CliRunner().invoke(cli, ["purge", "digits", "--yes", "--relearn", "--output", "json"])
    names = [name.rsplit("-", 2)[0] for name in as_promised("purge", purged.stdout)["relearnt"]]
    assert names == ["clip-art", "sketched-things"]


def test_imported_tasks_cannot_be_learnt_again(learnt: Learnt, tmp_path: Path) -> None:
    learnt.client.export(4, tmp_path / "four.tar")
    other = Client(config_of(tmp_path / "other"), by="ben")
    other.import_(tmp_path / "four.tar")
    with pytest.raises(InputError, match=r"'fashion' .*it was imported.*'sketched-things'"):
        other.drop("digits", relearn=True)
