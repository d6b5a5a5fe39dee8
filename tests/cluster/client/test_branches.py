"""An adapter that is learnt anew under another encoder, gone over to, and gone back from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from adapters.errors import EncoderMismatchError, InputError, NotFoundError, SettingsError
from cluster.client.client import Client
from cluster.client.relearning import Relearnt
from cluster.client.requester import HTTP, Requester
from cluster.client.tasks import encoder_for
from cluster.config import Config
from tests.support.drivers.learning import carried_out, small_task, submitted
from tests.support.fakes.dying_store import copy_of, killed_at_every_write
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import TINY_VIT, EncoderSettings
from workers.encoding.encoders import Encoders, loads_like
from workers.encoding.known_encoders import read_encoder
from workers.housekeeping.retention import Retention, remove_expired
from workers.images.decode import decode_image
from workers.queue.ticket import Stage
from workers.registry.record_cache import Versions
from workers.serving.predictor import Candidate, PredictionRequest, Predictor, Question
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import read_submission

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"
NAMES = ("fashion", "digits")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two tasks learnt under the configured encoder, and anew under another one.

    Attributes:
        first: The configured encoder.
        second: The other one.
        before: The store before anything was learnt anew.
        after: A store in which all was.
        asked: What was submitted for that.
        folder: Has the task files, and one of a task that nobody has submitted.
    """

    first: Encoder
    second: Encoder
    before: ObjectStore
    after: ObjectStore
    asked: Relearnt
    folder: Path

    def client(self, store: ObjectStore | None = None) -> Client:
        """Return a client of a store; of a copy of `after` where None."""
        return Client(Config(store="memory"), by="anna", store=store or copy_of(self.after))

    def predictor(self, store: ObjectStore) -> Predictor:
        """Return what answers for `main` in a replica of the configured encoder."""
        encoders = Encoders(self.first, store, loads_like(self.first))
        found = Predictor(self.first, Versions(store), adapters=("main",), encoders=encoders)
        found.follower("main").follow()
        return found

    def learn(self, store: ObjectStore, names: Sequence[str]) -> None:
        """Let the queue learn what was submitted."""
        asked = [read_submission(store, name) for name in names]
        states = carried_out(store, self.first, *asked)
        assert {state.ticket.stage for state in states} <= {Stage.PUBLISHED}, states

    def pictures(self) -> list[Image.Image]:
        """Return the test images of all tasks."""
        files = sorted(self.folder.rglob("test/*/*.png"))
        return [decode_image(file.read_bytes(), origin="") for file in files]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    torch.set_num_threads(1)
    folder, store = tmp_path_factory.mktemp("branches"), MemoryStore()
    first, second = Encoder(EncoderSettings()), Encoder(EncoderSettings(model=TINY_VIT))
    for number, name in enumerate(NAMES):
        path = small_task(EXAMPLES, folder, name, classes=2, images=4)
        carried_out(store, first, submitted(store, path, now=float(number)))
    small_task(EXAMPLES, folder, "clip-art", classes=2, images=4)
    before = copy_of(store)
    asked = Client(Config(store="memory"), by="anna", store=store).relearn(TINY_VIT)
    made = Scene(first=first, second=second, before=before, after=store, asked=asked, folder=folder)
    made.learn(store, asked.submissions)
    return made


def answers(
    predictor: Predictor, images: list[Tensor], pinned: int | str | None = None
) -> list[list[Candidate]]:
    version = predictor.version("main", pinned)
    asked = PredictionRequest(adapter="main", question=Question(labels=("lion",)), version=version)
    found = predictor.predict_together(images, [asked] * len(images))
    assert all(isinstance(each, list) for each in found), found
    return found  # type: ignore[return-value]


def test_the_tasks_are_learnt_in_order_on_a_branch_of_their_own(scene: Scene) -> None:
    client = scene.client()
    assert client.aliases() == {"head": 2, "production": 2, "tiny-vit": 4}
    branch = [client.show(number).manifest for number in (3, 4)]
    assert [entry.parent.number if entry.parent else None for entry in branch] == [None, 3]
    assert [task.task for task in branch[1].tasks] == list(NAMES)
    assert {entry.encoder for entry in branch} == {scene.second.fingerprint}
    old = client.show(2)
    assert old.manifest.encoder == scene.first.fingerprint
    # measured beside the old one, on the same test images
    images = [{each.task: each.images for each in client.show(n).accuracies} for n in (2, 4)]
    assert images[0] == images[1] == dict.fromkeys(NAMES, 4)
    assert client.verify().clean


def test_both_answer_at_once_and_one_move_goes_over_to_the_other_and_back(scene: Scene) -> None:
    client = scene.client()
    predictor, pictures = scene.predictor(client.store), scene.pictures()
    images = {
        each: [each.transform(one) for one in pictures] for each in (scene.first, scene.second)
    }
    old, new = (
        answers(predictor, images[scene.first], 2),
        answers(predictor, images[scene.second], "tiny-vit"),
    )
    assert old != new
    assert answers(predictor, images[scene.first]) == old
    client.promote("tiny-vit", with_head=True, why="sees more")
    assert client.aliases() == {"head": 4, "production": 4, "tiny-vit": 4}
    assert predictor.follower("main").follow()
    assert answers(predictor, images[scene.second]) == new
    assert predictor.encoder_of(predictor.version("main")).fingerprint == scene.second.fingerprint
    client.rollback(2, why="it does not")
    assert predictor.follower("main").follow()
    assert answers(predictor, images[scene.first]) == old
    moves = [(entry.action.value, entry.author.who, entry.author.why) for entry in client.history()]
    assert moves[:2] == [("rollback", "anna", "it does not"), ("promote", "anna", "sees more")]


def test_pictures_that_were_read_for_an_encoder_are_answered_under_it(scene: Scene) -> None:
    client = scene.client()
    predictor, picture = scene.predictor(client.store), scene.pictures()[0]
    begun, late = (
        PredictionRequest(
            adapter="main", question=Question(), prepared_for=predictor.version("main", version)
        )
        for version in (2, 4)
    )
    client.promote("tiny-vit", with_head=True)
    predictor.follower("main").follow()
    pixels = [each.transform(picture) for each in (scene.first, scene.second)]
    found = predictor.predict_together(pixels, [begun, late])
    assert all(isinstance(each, list) for each in found), found
    assert [each.version.ref.number for each in (begun, late) if each.version] == [2, 4]


def test_the_next_task_is_learnt_under_the_encoder_of_head(scene: Scene) -> None:
    client = scene.client()
    client.promote("tiny-vit", with_head=True)
    path = scene.folder / "clip-art" / "task.yaml"
    scene.learn(client.store, [submitted(client.store, path, now=9.0).submission_id])
    assert client.aliases() == {"head": 5, "production": 5, "tiny-vit": 4}
    assert client.show(5).manifest.encoder == scene.second.fingerprint
    client.rollback(2)
    assert client.relearn(TINY_VIT).submissions == ()  # the branch has all that `head` has now


def test_what_head_has_learnt_meanwhile_is_added_and_nothing_is_learnt_twice(scene: Scene) -> None:
    client = scene.client()
    assert client.relearn(TINY_VIT).submissions == ()
    path = scene.folder / "clip-art" / "task.yaml"
    scene.learn(client.store, [submitted(client.store, path, now=9.0).submission_id])
    assert client.aliases() == {"head": 5, "production": 5, "tiny-vit": 4}
    again = client.relearn(TINY_VIT)
    assert [read_submission(client.store, name).task for name in again.submissions] == ["clip-art"]
    scene.learn(client.store, again.submissions)
    assert client.aliases() == {"head": 5, "production": 5, "tiny-vit": 6}
    tasks = [task.task for task in client.show("tiny-vit").manifest.tasks]
    assert tasks == [*NAMES, "clip-art"]


def test_whoever_dies_while_asking_gets_the_same_submissions(scene: Scene) -> None:
    def ask(client: Client) -> object:
        return client.relearn(TINY_VIT)

    seen = []
    for write, store in killed_at_every_write(scene.before, ask, Config(store="memory")):
        queue = scene.client(store).queue().states
        seen.append([state.ticket.submission_id for state in queue if state.ticket.branch])
        assert seen[-1] == seen[0], write
    assert seen[0] == list(scene.asked.submissions)


def test_nothing_is_submitted_where_images_of_a_task_are_not_kept_any_more(scene: Scene) -> None:
    store = copy_of(scene.before)
    client = scene.client(store)
    (fashion,) = [task.submission for task in client.show(1).manifest.tasks]
    digits = client.show(2).manifest.tasks[1].submission
    store.put(f"submissions/{fashion}/swept.json", b"{}")
    with pytest.raises(InputError, match=r"1 of 2 tasks.*'fashion': its images were removed.*repl"):
        client.relearn(TINY_VIT)
    plan = client.relearn(TINY_VIT, dry_run=True).plan
    assert [each.task for each in plan.hindered] == ["fashion"]
    assert not [state for state in client.queue().states if state.ticket.branch]
    (name,) = client.relearn(TINY_VIT, partial=True).submissions
    submission = read_submission(store, name)
    assert submission.shards == read_submission(store, digits).shards
    assert submission.base == "tiny-vit"


def test_a_plan_says_what_it_takes_as_earlier_tasks_took(scene: Scene) -> None:
    plan = scene.client(copy_of(scene.before)).relearn(TINY_VIT, dry_run=True).plan
    stored = [read_submission(scene.before, task.submission) for task in plan.source.tasks]
    assert plan.images == 2 * 2 * (4 + 2)
    assert plan.size_bytes == sum(shard.size for each in stored for shard in each.shards)
    assert plan.rates.encoder == scene.first.fingerprint
    assert plan.rates.encoding_s is not None
    assert plan.rates.learning_s is not None


def test_kept_images_stay_while_they_are_learnt_anew(scene: Scene) -> None:
    store = copy_of(scene.before)
    client = scene.client(store)
    asked = client.relearn(TINY_VIT)
    gone = remove_expired(store, Retention(days=0.0), now=9e12)
    assert sorted(gone) == sorted(task.submission for task in client.show(2).manifest.tasks)
    scene.learn(store, asked.submissions)
    assert client.aliases()["tiny-vit"] == 4


def test_a_purged_task_is_gone_from_both(scene: Scene) -> None:
    client = scene.client()
    client.rollback(1)
    with pytest.raises(InputError, match="still in tiny-vit"):
        client.purge("digits")
    client.alias("tiny-vit", 3)
    purged = client.purge("digits")
    assert purged.versions == (2, 4)
    with pytest.raises(InputError, match="purged"):
        client.promote(4, with_head=True)
    client.promote("tiny-vit", with_head=True)


REFUSED = [
    ({"encoder": "tiny-vet"}, InputError, r"tiny, tiny-vit\) or a folder, found 'tiny-vet'"),
    ({"encoder": "tiny"}, SettingsError, "version 2, is learnt under 'tiny' already"),
    ({"encoder": TINY_VIT, "alias": "head"}, InputError, "'head' cannot be that of a branch"),
    ({"encoder": TINY_VIT, "alias": "4"}, InputError, "cannot name an alias"),
    ({"encoder": TINY_VIT, "alias": "canary"}, SettingsError, "at version 1, which was learnt"),
    ({"encoder": TINY_VIT, "adapter": "mian"}, NotFoundError, "mian"),
]


@pytest.mark.parametrize(("asked", "error", "message"), REFUSED)
def test_what_cannot_be_learnt_anew_is_refused(
    scene: Scene, asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    client = scene.client()
    client.alias("canary", 1)
    with pytest.raises(error, match=message):
        client.relearn(**asked)


def test_a_folder_of_the_service_is_named_by_its_configuration_alone(
    scene: Scene, tmp_path: Path
) -> None:
    client, by = scene.client(), Requester(name="token:ci", road=HTTP)
    with pytest.raises(InputError, match=r"NAME: .*pretrained"):
        client.relearn(str(tmp_path), by=by)
    config = Config(store="memory", encoders={"mine": EncoderSettings(model=TINY_VIT)})
    named = Client(config, store=copy_of(scene.before)).relearn("mine", by=by)
    assert named.plan.branch.alias == "mine"


def test_a_system_starts_with_either_encoder_and_with_no_third_one(scene: Scene) -> None:
    store = copy_of(scene.after)
    for each in (scene.first, scene.second):
        assert read_encoder(store, each.fingerprint) == each.settings
    encoders = Encoders(scene.second, store, loads_like(scene.second))
    assert encoders.of(scene.first.fingerprint).fingerprint == scene.first.fingerprint
    with pytest.raises(EncoderMismatchError, match="nothing in the store that says"):
        encoders.of("another")


def test_what_is_submitted_behind_the_move_is_checked_against_the_encoder_that_will_learn_it(
    scene: Scene,
) -> None:
    client, task = scene.client(), scene.folder / "clip-art" / "task.yaml"
    looked = client.inspect(task)
    assert looked.embedded is not None
    assert looked.embedded.fingerprint == scene.first.fingerprint
    client.promote("tiny-vit", with_head=True)
    looked = client.inspect(task)
    assert looked.embedded is not None
    assert looked.embedded.fingerprint == scene.second.fingerprint
    assert encoder_for("main", client.config, client.store).model == TINY_VIT
    assert encoder_for("another", client.config, client.store) == client.config.encoder
