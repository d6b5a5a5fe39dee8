"""Relearning in the client: tasks that go with a dropped or purged one, and whole adapters anew."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from adapters.errors import InputError, NotFoundError
from cluster.client.part import ClientPart
from cluster.client.requester import HTTP, By
from cluster.config import Config
from workers import registry
from workers.encoding.encoder_settings import TINY, TINY_VIT, EncoderSettings
from workers.housekeeping.leftovers import purged_of
from workers.intake.branch import Relearning, planned, submit_to_branch
from workers.intake.relearning import check_relearnable, submit_again
from workers.registry import Author, Holding, Manifest, RegisteredAdapter, TaskRef
from workers.registry.documents.layout import check_alias
from workers.store import ObjectStore
from workers.tasks.submission import Branch

BEHIND = -1
"""The priority of what is learnt anew: after what people submit, unless they ask for less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """What became of a task that was dropped.

    Attributes:
        manifest: Of the version without it.
        relearnt: The submissions of later tasks that are learnt again.
    """

    manifest: Manifest
    relearnt: tuple[str, ...] = ()


def dropped_and_relearnt(
    adapter: RegisteredAdapter, task: str, *, by: Author, promoted: bool
) -> Dropped:
    """Drop a task, and submit again what has to be left out with it; see `AliasVerbs.drop`.

    Where it was dropped already, what was left out then and is neither in `head` nor on its way is
    submitted again: whoever was broken off between the two goes on like this.
    """

    def check(tasks: Sequence[TaskRef]) -> None:
        check_relearnable(
            adapter.objects.store, tasks, adapter=adapter.name, purged=purged_of(adapter)
        )

    try:
        manifest = registry.drop(adapter, task, by=by, promoted=promoted, learn_again=check)
    except NotFoundError:
        before = registry.latest_drop(adapter, task)
        if before is None or not registry.left_out_with(adapter, before, task):
            raise
        manifest = before
    tasks = registry.left_out_with(adapter, manifest, task)
    if manifest.parent is None or not tasks:
        return Dropped(manifest=manifest)
    held_by = adapter.objects.manifest(manifest.parent.manifest)
    again = submit_again(adapter, tasks, before=held_by, author=by.who, now=by.now)
    return Dropped(manifest=manifest, relearnt=again)


def check_others(adapter: RegisteredAdapter, holding: Holding) -> None:
    """Raise InputError where a task that would go with a purged one cannot be learnt again."""
    check_relearnable(
        adapter.objects.store, holding.others, adapter=adapter.name, purged=purged_of(adapter)
    )


def others_relearnt(adapter: RegisteredAdapter, holding: Holding, *, by: Author) -> tuple[str, ...]:
    """Submit again the tasks that have gone with a purged one, and return their submissions.

    What somebody has purged meanwhile is none of them.
    """
    newest, purged = adapter.manifest(holding.versions[-1]), purged_of(adapter)
    others = tuple(task for task in holding.others if task.submission not in purged)
    return submit_again(adapter, others, before=newest, author=by.who, now=by.now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Relearnt:
    """What is learnt anew of an adapter.

    Attributes:
        plan: What was found, and what it will take.
        submissions: What was submitted, in the order of learning; empty where that was not asked.
    """

    plan: Relearning
    submissions: tuple[str, ...] = ()


class RelearningVerbs(ClientPart):
    """Learns adapters anew under another encoder."""

    def relearn(
        self,
        encoder: str,
        *,
        adapter: str | None = None,
        alias: str | None = None,
        partial: bool = False,
        dry_run: bool = False,
        by: By = None,
    ) -> Relearnt:
        """Submit all tasks of an adapter to a branch of it, which is learnt under another encoder.

        The images are those that are stored. Nothing that is served changes, before somebody moves
        `production` to the branch (`promote` with `with_head`). Asked again, it adds what `head`
        has and the branch has not.

        Args:
            encoder: `tiny`, `tiny-vit`, a name under `encoders:` in the configuration, or a folder
                of this machine.
            adapter: Which adapter; the configured one where None.
            alias: The alias of the branch; what the encoder is called where None.
            partial: Leave out the tasks that cannot be learnt anew.
            dry_run: Submit nothing.
            by: Who asks; also the author of the versions.

        Raises:
            NotFoundError: nothing is published of the adapter.
            InputError: no such encoder, or images of a task are not stored any more.
            SettingsError: `head` is learnt under that encoder already, the alias is at a version of
                another one, or the method cannot learn on it.
            UnavailableError: too many submissions of the adapter are open.
            LimitError: whoever asks would have more in the queue than they may.
        """
        handle = self._adapter(adapter)
        requester = self._requester(by)
        settings = encoder_named(self.config, encoder, folders=requester.road != HTTP)
        name = check_alias(alias or _name_of(self.config, encoder))
        branch = Branch(alias=name, encoder=asdict(settings))
        with self._changing("relearn", handle.name, target=f"{name}: {encoder}", by=by) as author:
            plan = planned(handle, branch, configured=self.config.encoder, purged=purged_of(handle))
            if dry_run:
                return Relearnt(plan=plan)
            if not partial:
                plan.check_whole()
            _check_tower(plan, settings)
            _check_room(self.config, self._store, plan, author.who)
            names = submit_to_branch(
                handle, plan, author=author.who, now=author.now, priority=BEHIND
            )
            return Relearnt(plan=plan, submissions=names)


def encoder_named(config: Config, name: str, *, folders: bool) -> EncoderSettings:
    """Return the settings of the encoder that somebody names.

    Args:
        config: Has names of its own.
        name: The name.
        folders: Whether it may be a folder of this machine.

    Raises:
        InputError: there is none.
    """
    if name in config.encoders:
        return config.encoders[name]
    if name in (TINY, TINY_VIT):
        return EncoderSettings(model=name)
    if folders and Path(name).is_dir():
        return EncoderSettings(model=str(Path(name).absolute()))
    known = ", ".join((*config.encoders, TINY, TINY_VIT))
    raise InputError(
        f"expected the name of an encoder ({known}){' or a folder' if folders else ''}, found "
        f"{name!r}; name it in the configuration of the system, `encoders: {{NAME: {{model: …, "
        "pretrained: …}}`, and ask again",
        encoder=name,
    )


def _name_of(config: Config, encoder: str) -> str:
    return encoder if encoder in config.encoders else Path(encoder).name


def _check_tower(plan: Relearning, settings: EncoderSettings) -> None:
    """Raise SettingsError where the method of a task cannot learn on the encoder."""
    from adapters.methods import method_named
    from cluster.client.tasks import tower_here

    for each in plan.to_learn:
        method = each.learning.method if each.learning else plan.source.method
        method_named(method).check_tower(partial(tower_here, settings), each.all_settings)


def _check_room(config: Config, store: ObjectStore, plan: Relearning, author: str) -> None:
    """Raise an error where the queue has no room for what is to be submitted."""
    from cluster.client.tasks import room_for
    from workers.intake.room import use_of
    from workers.queue.progress import read_queue
    from workers.queue.ticket import ENDED

    room = room_for(config, plan.adapter, author)
    waiting = sum(
        state.ticket.adapter == plan.adapter and state.ticket.stage not in ENDED
        for state in read_queue(store).states
    )
    room.check_adapter(plan.adapter, waiting + max(0, len(plan.to_learn) - 1))
    if room.is_limited:
        use = use_of(store, author)
        for each in plan.to_learn:
            use = use.with_more(sum(shard.size for shard in each.shards))
            room.check_author(author, use)
