"""Branch: the tasks of an adapter submitted to a branch of it, under another encoder.

Each becomes a submission of its own: the images, classes, settings and seed that are stored of it,
by the same method, with a version that builds on the alias of the branch. So whoever asks for it
twice, or again after a crash, gets the same ones, and what `head` has learnt meanwhile is added.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from adapters.contract.canonical import canonical_json, digest_of
from adapters.errors import InputError, SettingsError
from workers.encoding.encoder_settings import EncoderSettings
from workers.encoding.known_encoders import read_encoder, settings_of
from workers.intake.identity import check_fits, write
from workers.intake.relearning import ask_for, hindrance, is_open, stored_again
from workers.queue import inbox
from workers.queue.journal import read_journal
from workers.queue.ledger import read_pages
from workers.queue.ticket import ENDED, Stage
from workers.registry import Manifest, RegisteredAdapter
from workers.registry.documents.layout import HEAD, PRODUCTION
from workers.store.base import ObjectStore
from workers.tasks.submission import (
    CONTENT_DIGITS,
    Branch,
    Submission,
    content_of,
    find_submission,
)

LEARNING_STAGES = frozenset({Stage.COMPRESSING, Stage.CHECKING, Stage.PUBLISHED})
"""What a journal says at their beginning is how long the part of learning before has taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedTask:
    """One task of what is to be learnt anew.

    Attributes:
        task: Its name.
        stored: As it is to be submitted, but for generation and priority; None where it cannot be.
        hindered: Why not; None where it can.
        is_there: Whether the branch has it already, or it is on its way there.
    """

    task: str
    stored: Submission | None = None
    hindered: str | None = None
    is_there: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What earlier tasks have taken, by what the queue wrote down.

    Attributes:
        encoding_s: Seconds per image; None where nobody knows.
        learning_s: Seconds per task; None where nobody knows.
        encoder: Fingerprint of the encoder under which that was; empty for none.
    """

    encoding_s: float | None = None
    learning_s: float | None = None
    encoder: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Relearning:
    """An adapter that is to be learnt anew under another encoder.

    Attributes:
        adapter: The adapter.
        branch: Where it is learnt.
        source: The version whose tasks are learnt: `head`.
        tasks: All of them, in their order.
        rates: What that will take, as far as anybody has measured it.
    """

    adapter: str
    branch: Branch
    source: Manifest
    tasks: tuple[PlannedTask, ...]
    rates: Rates

    @property
    def to_learn(self) -> tuple[Submission, ...]:
        """What is to be submitted."""
        return tuple(each.stored for each in self.tasks if each.stored and not each.is_there)

    @property
    def hindered(self) -> tuple[PlannedTask, ...]:
        """What cannot be."""
        return tuple(each for each in self.tasks if each.hindered)

    @property
    def images(self) -> int:
        """How many images are embedded."""
        return sum(each.images("train") + each.images("held_out") for each in self.to_learn)

    @property
    def size_bytes(self) -> int:
        """Bytes of the shards that they lie in; what two tasks share counts once."""
        sizes = {shard.digest: shard.size for each in self.to_learn for shard in each.shards}
        return sum(sizes.values())

    def check_whole(self) -> None:
        """Raise InputError, naming each, where some task cannot be learnt anew."""
        if not self.hindered:
            return
        named = "; ".join(f"{each.task!r}: {each.hindered}" for each in self.hindered)
        raise InputError(
            f"{len(self.hindered)} of {len(self.tasks)} tasks of adapter {self.adapter!r} cannot "
            f"be learnt anew from what is stored of them, and nothing was submitted ({named}); "
            "submit each of them again, with `replaces:` and its own name in its task file, and "
            "ask for this then, or leave them out with `--partial`",
            adapter=self.adapter,
            tasks=tuple(each.task for each in self.hindered),
        )


def planned(
    adapter: RegisteredAdapter,
    branch: Branch,
    *,
    configured: EncoderSettings,
    purged: Collection[str],
) -> Relearning:
    """Return what is to be learnt anew of an adapter.

    Args:
        adapter: The adapter.
        branch: Where it is to be learnt.
        configured: The encoder under which adapters begin.
        purged: Ids of submissions whose images were purged.

    Raises:
        NotFoundError: there is no such adapter, or nothing is published of it.
        SettingsError: `head` is learnt under that encoder already, or the alias is at a version of
            another encoder.
        InputError: no branch can be called so.
    """
    refs, store = adapter.refs(), adapter.objects.store
    source, there = adapter.manifest(HEAD), refs.find(branch.alias)
    onto = adapter.objects.manifest(there.manifest) if there else None
    _check_branch(store, branch, source, onto, configured)
    present = {task.task for task in onto.tasks} if onto else set()
    coming = _coming(store, adapter.name, branch.alias)
    tasks = []
    for task in source.tasks:
        why = None if task.task in present else hindrance(store, task, adapter.name, purged)
        if why is not None or task.task in present:
            tasks.append(PlannedTask(task=task.task, hindered=why, is_there=why is None))
            continue
        stored = stored_again(adapter, task, source, author="", now=0.0)
        stored = replace(stored, branch=branch, submission_id=_identity(stored, branch))
        is_there = content_of(stored.task, stored.submission_id) in coming
        tasks.append(PlannedTask(task=task.task, stored=stored, is_there=is_there))
    return Relearning(
        adapter=adapter.name,
        branch=branch,
        source=source,
        tasks=tuple(tasks),
        rates=_rates(store, [manifest for manifest in (onto, source) if manifest]),
    )


def submit_to_branch(
    adapter: RegisteredAdapter, relearning: Relearning, *, author: str, now: float, priority: int
) -> tuple[str, ...]:
    """Ask the queue to learn what was planned, in its order, and return the submissions.

    Args:
        adapter: The adapter.
        relearning: What was planned.
        author: Who asks for it.
        now: Seconds since the epoch.
        priority: Of all of them; higher goes first.
    """
    store = adapter.objects.store
    return tuple(
        _submitted(
            store, replace(each, author=author, accepted_at=now, priority=priority), author=author
        )
        for each in relearning.to_learn
    )


def _submitted(store: ObjectStore, submission: Submission, *, author: str) -> str:
    check_fits(submission)
    written, _ = write(
        store,
        submission,
        submission.submission_id,
        reusable=lambda submission_id: is_open(store, submission_id),
    )
    ask_for(store, written, author=author)
    return written.submission_id


def _identity(stored: Submission, branch: Branch) -> str:
    """Return the id of the first generation of a submission to a branch."""
    first = content_of(stored.task, stored.submission_id)
    content = {"content": first, "branch": branch.alias, "encoder": dict(branch.encoder)}
    return f"{stored.task}-{digest_of(canonical_json(content))[:CONTENT_DIGITS]}"


def _check_branch(
    store: ObjectStore,
    branch: Branch,
    source: Manifest,
    onto: Manifest | None,
    configured: EncoderSettings,
) -> None:
    if branch.alias in (HEAD, PRODUCTION):
        raise InputError(
            f"alias {branch.alias!r} cannot be that of a branch, which grows beside it; choose "
            "another name with `--as`",
            alias=branch.alias,
        )
    wanted = settings_of(branch.encoder)
    if (read_encoder(store, source.encoder) or configured) == wanted:
        raise SettingsError(
            f"`head` of adapter {source.adapter!r}, version {source.number}, is learnt under "
            f"{wanted.model!r} already; name another encoder",
            adapter=source.adapter,
        )
    if onto is not None and (read_encoder(store, onto.encoder) or configured) != wanted:
        raise SettingsError(
            f"alias {branch.alias!r} of adapter {source.adapter!r} is at version {onto.number}, "
            f"which was learnt under another encoder than {wanted.model!r}; choose another name "
            "with `--as`",
            adapter=source.adapter,
            alias=branch.alias,
        )


def _coming(store: ObjectStore, adapter: str, alias: str) -> set[str]:
    """Return the contents that are on their way to a branch."""
    # The inbox first: what is taken note of meanwhile is on its page by then.
    return {
        content_of(ticket.task, ticket.submission_id)
        for ticket in (*inbox.announced(store), *read_pages(store))
        if (ticket.adapter, ticket.branch) == (adapter, alias) and ticket.stage not in ENDED
    }


def _rates(store: ObjectStore, manifests: Sequence[Manifest]) -> Rates:
    """Return what the tasks of the first of some versions have taken that says anything of it."""
    for manifest in manifests:
        measured = [found for task in manifest.tasks if (found := _taken(store, task.submission))]
        images = sum(each[0] for each in measured)
        if images:
            return Rates(
                encoding_s=sum(each[1] for each in measured) / images,
                learning_s=sum(each[2] for each in measured) / len(measured),
                encoder=manifest.encoder,
            )
    return Rates()


def _taken(store: ObjectStore, name: str) -> tuple[int, float, float] | None:
    """Return the images of a submission, and seconds of encoding and of learning it."""
    submission = find_submission(store, name)
    entries = list(read_journal(store, name)) if submission else []
    if submission is None or not any(each.stage == Stage.PUBLISHED for each in entries):
        return None
    taken = [(each.stage, each.took_s or 0.0) for each in entries]
    encoding = sum(took for stage, took in taken if stage == Stage.WAITING)
    learning = sum(took for stage, took in taken if stage in LEARNING_STAGES)
    return submission.images("train") + submission.images("held_out"), encoding, learning
