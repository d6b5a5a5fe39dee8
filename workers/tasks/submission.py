"""A submission: a task whose images are packed, checked and durable.

The record is immutable and names its images by digest. Its id is made of the task's name and a
digest of everything that the task file and its images say of what is learnt, so that submitting the
same again finds the same one (`workers.intake.identity`). Where that one has ended without effect,
a further generation of it may be opened.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import FiniteFloat

from adapters.errors import NotFoundError
from workers.formats.documents import Count, encode, validated
from workers.images.views import Augmentation
from workers.registry.documents.layout import HEAD
from workers.store import absent
from workers.store.base import Object, ObjectStore

PREFIX = "submissions/"
SHARDS = "shards/"

CONTENT_DIGITS = 12
"""Of the content's digest, behind the task's name and a dash in the id of a submission."""

Split = Literal["train", "held_out"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedClass:
    """One class of a submission: its key (the folder's name) and its readable name."""

    key: str
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shard:
    """One tar of images.

    Attributes:
        digest: SHA-256 of the tar.
        size: Its bytes.
        split: What its images are for.
        labels: Class index of each image, in the order of the tar.
        image_digests: SHA-256 of each image file, in the same order.
    """

    digest: str
    size: Count
    split: Split
    labels: tuple[Count, ...]
    image_digests: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """By what a submission is learnt: that with which it was checked when it was accepted.

    Attributes:
        method: The method's name.
        settings: All settings of the method, its defaults included.
    """

    method: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """Where a submission is learnt that does not grow `head`.

    Attributes:
        alias: The alias that its version builds on and that moves to it, in place of `head`.
        encoder: Settings of the encoder under which the first version of the branch is learnt.
    """

    alias: str
    encoder: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """What a task asks to be learnt; never changed once it is written.

    Attributes:
        submission_id: Names it; starts with the task's name.
        task: The task's name.
        adapter: The adapter that grows.
        classes: In the order of the class indices.
        prompt: The template of the text side.
        settings: Settings of the method that differ from its defaults.
        seed: Of everything random in this task.
        augmentation: How views after the first are drawn.
        shards: Its images.
        set_aside: Whether the test images were drawn from the training images.
        accepted_at: Seconds since the epoch.
        author: Who submitted it.
        priority: Higher goes first.
        replaces: The task of the adapter that this one takes the place of.
        merges: Ids of classes of other tasks, by the key of the class that counts as each.
        generation: How often this content has been submitted anew, counted from 1.
        skipped: Images that were left out because they could not be read.
        learning: By what it is learnt; None where it was submitted without a method, as it was in
            the first days: then by what the configuration of the system says.
        branch: The branch of its adapter that it grows; None for `head`.
    """

    submission_id: str
    task: str
    adapter: str
    classes: tuple[SubmittedClass, ...]
    prompt: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    augmentation: Augmentation = "crop-mirror"
    shards: tuple[Shard, ...]
    set_aside: bool = False
    accepted_at: FiniteFloat
    author: str
    priority: int = 0
    replaces: str | None = None
    merges: Mapping[str, str] = field(default_factory=dict)
    generation: int = 1
    skipped: int = 0
    learning: Learning | None = None
    branch: Branch | None = None

    @property
    def base(self) -> str:
        """The alias whose version it is learnt on."""
        return self.branch.alias if self.branch else HEAD

    @property
    def all_settings(self) -> Mapping[str, Any]:
        """Settings of the method, with its defaults where those were known at acceptance."""
        return self.learning.settings if self.learning else self.settings

    @property
    def key(self) -> str:
        """Where the submission is stored."""
        return submission_key(self.submission_id)

    def prompts(self) -> tuple[str, ...]:
        """Return one prompt per class, in order."""
        return tuple(self.prompt.format(entry.name) for entry in self.classes)

    def of_split(self, split: Split) -> tuple[Shard, ...]:
        """Return the shards of `split`, in order."""
        return tuple(shard for shard in self.shards if shard.split == split)

    def images(self, split: Split) -> int:
        """Return how many images `split` has."""
        return sum(len(shard.labels) for shard in self.of_split(split))

    def to_bytes(self) -> bytes:
        """Return the submission as canonical JSON."""
        fields = asdict(self)
        for name in ("learning", "branch"):  # what was written before there were any stays as it is
            if fields[name] is None:
                del fields[name]
        return encode(fields)


def submission_from_bytes(content: bytes, what: str) -> Submission:
    """Return the submission in `content`; CorruptionError naming `what` when there is none."""
    return validated(Submission, content, what)


def submission_key(submission_id: str) -> str:
    """Return where the submission called `submission_id` is stored."""
    return f"{PREFIX}{submission_id}/submission.json"


def swept_key(submission_id: str) -> str:
    """Return where it is noted that a submission's images have been removed."""
    return f"{PREFIX}{submission_id}/swept.json"


def is_swept(store: ObjectStore, submission_id: str) -> bool:
    """Return whether a submission's images have been removed."""
    return absent.find(store, swept_key(submission_id)) is not None


def read_submission(store: ObjectStore, submission_id: str) -> Submission:
    """Return the submission called `submission_id`, of which nobody knows whether it exists.

    Raises:
        NotFoundError: there is none.
        CorruptionError: it is damaged.
    """
    found = find_submission(store, submission_id)
    if found is None:
        key = submission_key(submission_id)
        raise NotFoundError(f"no object {key!r} in {store.url}", key=key)
    return found


def find_submission(store: ObjectStore, submission_id: str) -> Submission | None:
    """Return the submission called `submission_id`; None where there is none.

    Raises:
        MissingError: the store lists it, and it is not to be found now.
        CorruptionError: it is damaged.
    """
    found = absent.find(store, submission_key(submission_id))
    return None if found is None else _submission(store, submission_id, found)


def existing_submission(store: ObjectStore, submission_id: str, *, because: str) -> Submission:
    """Return a submission of which something says that it exists.

    It is asked for with the patience of work that nobody waits for.

    Args:
        store: The object store.
        submission_id: Its id.
        because: What says so, as half a sentence: "its ticket names it".

    Raises:
        MissingError: it is not to be found, however often it was asked for.
        CorruptionError: it is damaged.
    """
    return store.patience.longer.ask(
        lambda: submission_at_once(store, submission_id),
        key=submission_key(submission_id),
        url=store.url,
        because=because,
    )


def submission_at_once(store: ObjectStore, submission_id: str) -> Submission:
    """Return a submission; NotFoundError where the store says now that there is none."""
    return _submission(store, submission_id, store.get(submission_key(submission_id)))


def _submission(store: ObjectStore, submission_id: str, found: Object) -> Submission:
    what = f"the submission {submission_key(submission_id)!r} in {store.url}"
    return submission_from_bytes(found.data, what)


def content_of(task: str, submission_id: str) -> str:
    """Return what all generations of one content have in common: the id of the first."""
    return submission_id[: len(task) + 1 + CONTENT_DIGITS]


def submission_ids(store: ObjectStore) -> list[str]:
    """Return the ids of all submissions in `store`, in no particular order."""
    suffix = "/submission.json"
    keys = [entry.key for entry in store.list(PREFIX)]
    return [key.removeprefix(PREFIX).removesuffix(suffix) for key in keys if key.endswith(suffix)]
