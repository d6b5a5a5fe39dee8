"""Moved aliases as a document: the same over HTTP and in a shell."""

from cluster.client.client import Client
from cluster.client.relearning import Dropped, Relearnt
from cluster.wire.facts import served_and
from cluster.wire.versions import DroppedTask, Moved, RelearntAdapter, RelearntTask
from workers.intake.branch import PlannedTask
from workers.registry.documents.layout import HEAD, PRODUCTION


def moved_document(client: Client, adapter: str | None, number: int, *moved: str) -> Moved:
    """Return the aliases of an adapter after `moved` of them were moved.

    Args:
        client: Of the store.
        adapter: Its name; None for the configured one.
        number: The version that they point to now, or did before they were removed.
        moved: The aliases that were moved or removed.
    """
    name, there = adapter or client.config.adapter, client.aliases(adapter)
    note = None
    if PRODUCTION in moved and PRODUCTION in there:
        note = client.not_served(adapter)
    elif PRODUCTION in moved:
        note = (
            f"replicas answer with version {number} until they start again, and with nothing then; "
            f"`nacre promote {number} --adapter {name}` serves it again"
        )
    return Moved(
        adapter=name,
        aliases=there,
        version=number,
        moved=list(moved),
        notes=[note] if note else [],
    )


def promoted_document(
    client: Client, adapter: str | None, number: int, alias: str, *, with_head: bool
) -> Moved:
    """Return the aliases of an adapter after one was moved to a version, or `head` with it.

    Where `production` alone has gone over to another encoder, it says what the next task does.

    Args:
        client: Of the store.
        adapter: Its name; None for the configured one.
        number: The version.
        alias: The alias.
        with_head: Whether `head` was moved with it.
    """
    document = moved_document(client, adapter, number, alias, *([HEAD] if with_head else []))
    head = document.aliases.get(HEAD)
    if with_head or alias != PRODUCTION or head is None:
        return document
    served, base = (client.show(each, adapter=adapter).manifest for each in (number, head))
    if served.encoder != base.encoder:
        document.notes.append(
            f"the next task builds on version {head}, which was learnt under another encoder, and "
            f"is served then: `nacre promote {number} --with-head --adapter {document.adapter}` "
            "moves both"
        )
    return document


def relearnt_document(found: Relearnt) -> RelearntAdapter:
    """Return what is learnt anew of an adapter, and what that will take."""
    plan, rates = found.plan, found.plan.rates
    encoding = None if rates.encoding_s is None else rates.encoding_s * plan.images
    learning = None if rates.learning_s is None else rates.learning_s * len(plan.to_learn)
    return RelearntAdapter(
        adapter=plan.adapter,
        alias=plan.branch.alias,
        encoder=plan.branch.encoder["model"],
        source=plan.source.number,
        tasks=[_task_document(each) for each in plan.tasks],
        images=plan.images,
        size_bytes=plan.size_bytes,
        encoding_s=encoding,
        learning_s=learning,
        measured_under=rates.encoder or None,
        submissions=list(found.submissions),
    )


def _task_document(planned: PlannedTask) -> RelearntTask:
    stored = planned.stored
    return RelearntTask(
        task=planned.task,
        state="hindered" if planned.hindered else "there" if planned.is_there else "to learn",
        why=planned.hindered,
        images=stored.images("train") + stored.images("held_out") if stored else 0,
        size_bytes=sum(shard.size for shard in stored.shards) if stored else 0,
    )


def rolled_back_document(
    client: Client, adapter: str | None, number: int, *, serving_only: bool
) -> Moved:
    """Return the aliases of an adapter after a rollback.

    It moves `production` only where there is one, and says so where there is none.

    Args:
        client: Of the store.
        adapter: Its name; None for the configured one.
        number: The version that was rolled back to.
        serving_only: Whether `head` was left alone.
    """
    there = client.aliases(adapter)
    moved = [alias for alias in served_and(head=not serving_only) if alias in there]
    document = moved_document(client, adapter, number, *moved)
    if PRODUCTION in there:
        return document
    note = (
        f"nothing is in production, and a rollback does not change that: `nacre promote {number} "
        f"--adapter {document.adapter}` serves it"
    )
    return document.model_copy(update={"notes": [*document.notes, note]})


def dropped_document(
    client: Client, adapter: str | None, task: str, dropped: Dropped, *, promoted: bool
) -> DroppedTask:
    """Return what became of a task that was dropped, and of the tasks that went with it.

    Args:
        client: Of the store.
        adapter: Its name; None for the configured one.
        task: The task.
        dropped: What became of it.
        promoted: Whether the version without it was to be served at once. One without tasks is not,
            and that is said.
    """
    number, is_empty = dropped.manifest.number, not dropped.manifest.tasks
    moved = served_and(head=True) if promoted and not is_empty else (HEAD,)
    document = moved_document(client, adapter, number, *moved)
    served = document.aliases.get(PRODUCTION)
    if promoted and is_empty:
        stays = f"production stays at version {served}" if served else "nothing is in production"
        note = f"{stays} until what is learnt again is published: version {number} holds no task"
        document.notes.append(note)
    elif PRODUCTION not in moved and served:
        document.notes.append(
            f"replicas answer with version {served} as before; "
            + (
                f"version {number} holds no task and cannot be served"
                if is_empty
                else f"`nacre promote {number} --adapter {document.adapter}` serves the version "
                f"without {task!r}"
            )
        )
    return DroppedTask(task=task, relearnt=list(dropped.relearnt), **document.model_dump())
