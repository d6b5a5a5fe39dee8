"""Submitting tasks under the configuration: images may lie anywhere, methods are the adapter's."""

import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.errors import SettingsError
from cluster.client.joined import configured
from cluster.client.remote.drafts import drafted
from cluster.config import Config
from cluster.running_config import RunningConfig, not_served
from cluster.stores.open import open_store
from workers.encoding.encoder_settings import EncoderSettings
from workers.intake.room import Room
from workers.progress_callbacks import ProgressCallback, StepCallback, unreported, unwatched
from workers.queue.leadership import read_leadership
from workers.registry.documents.layout import check_adapter
from workers.store import ObjectStore

if TYPE_CHECKING:
    from workers.inspection.inspecting import Inspection
    from workers.intake.drafting import Draft
    from workers.intake.intake import Intake
    from workers.tasks.task import Task


def accept_task(
    task: "Task",
    config: Config,
    store: ObjectStore,
    *,
    author: str,
    on_progress: ProgressCallback = unwatched,
) -> "Intake":
    """Check a task, make it durable, and return its submission.

    Args:
        task: The task.
        config: Says how the tasks of each adapter are learnt.
        store: The object store of `config`.
        author: Who submits.
        on_progress: Called with steps done and steps in all.

    Raises:
        InputError: the task cannot be learnt as it is; nothing is stored.
        UnavailableError: too many submissions are open, or a store cannot be reached.
        LimitError: whoever submits has as much in the queue as they may.
    """
    # Read first: nothing that fails behind an acceptance may hide it.
    warnings = _warnings(task.adapter, config, store)
    # These need torch, which takes seconds to load: a wrong file or a store that is away is told
    # before.
    from adapters.methods import method_named
    from workers.encoding.prompts import PromptReader
    from workers.intake.accept import accept

    chosen = config.of_adapter(task.adapter)
    encoder = encoder_for(task.adapter, config, store)
    method_named(chosen.method).check_tower(partial(tower_here, encoder), task.settings)
    intake = accept(
        task,
        store,
        author=author,
        room=room_for(config, task.adapter, author),
        method=chosen.method,
        cut=PromptReader(encoder).cut,
        on_progress=on_progress,
    )
    return replace(intake, warnings=warnings)


def inspect_task(
    task: "Task",
    config: Config,
    store: ObjectStore,
    *,
    author: str,
    features: bool,
    shown: int,
    on_step: StepCallback = unreported,
) -> "Inspection":
    """Return what is known of a task; nothing is submitted.

    Args:
        task: The task.
        config: Says how the tasks of each adapter are learnt, and under which encoder they begin.
        store: The object store of `config`; keeps the features.
        author: Who would submit.
        features: Whether the encoder looks at the images, too.
        shown: So many findings of each kind are shown.
        on_step: Called with what is being done, units of it done and units in all.

    Raises:
        InputError: the adapter, or the method's settings, forbid the task.
        UnavailableError: a store cannot be reached.
    """
    import torch

    from adapters.methods import method_named
    from workers.encoding.encoder import Encoder
    from workers.encoding.prompts import PromptReader
    from workers.inspection.inspecting import inspect
    from workers.intake.accept import Admission

    chosen = config.of_adapter(task.adapter)
    encoder = encoder_for(task.adapter, config, store)
    method_named(chosen.method).check_tower(partial(tower_here, encoder), task.settings)
    room = room_for(config, task.adapter, author)
    # As many as the workers have, so that features are theirs.
    torch.set_num_threads(config.workers.threads)
    return inspect(
        Admission.to(task, store, author=author, room=room, method=chosen.method),
        encoder=Encoder(encoder) if features else None,
        cut=PromptReader(encoder).cut,
        shown=shown,
        on_step=on_step,
    )


def encoder_for(adapter: str, config: Config, store: ObjectStore) -> EncoderSettings:
    """Return the encoder under which the next task of an adapter is learnt.

    It is that of `head`, also where the adapter has gone over to another one since it began.

    Args:
        adapter: The adapter.
        config: Has the encoder under which adapters begin.
        store: The object store of `config`.

    Raises:
        UnavailableError: the store cannot be reached.
    """
    from workers.encoding.known_encoders import read_encoder
    from workers.intake.accept import head_of

    head = head_of(store, adapter)
    return (head and read_encoder(store, head.encoder)) or config.encoder


def room_for(config: Config, adapter: str, author: str) -> Room:
    """Return how much may be in the queue, of an adapter and of whoever submits."""
    limits = config.of_requester(author)
    return Room(
        of_adapter=config.of_adapter(adapter).max_open,
        of_author=limits.open_submissions,
        author_mb=limits.stored_mb,
    )


def loaded_task(
    task: "Task | Draft | Path | str", config: Config, *, adapter: str | None = None
) -> "Task":
    """Return a task, or that of a file or a bare source, for `adapter` instead of its own."""
    from workers.tasks.task import Task

    if not isinstance(task, Task):
        task = load_task(task, config, adapter=adapter)
    return task if adapter is None else replace(task, adapter=check_adapter(adapter))


def _warnings(adapter: str, config: Config, store: ObjectStore) -> tuple[str, ...]:
    """Return what whoever submitted to `adapter` under `config` should know of who learns it."""
    running = RunningConfig.of(read_leadership(store), now=time.time())
    found = (running and running.unlike(config), not_served(adapter, running, config))
    return tuple(sentence for sentence in found if sentence)


def tower_here(encoder: EncoderSettings) -> object | None:
    """Return an encoder's image tower without weights; None where this machine does not know it."""
    from workers.encoding.encoder import untrained_tower

    with suppress(SettingsError):  # who submits need not have what the system has
        return untrained_tower(encoder)
    return None


def load_task(
    path: "Draft | Path | str", config: Config | None = None, *, adapter: str | None = None
) -> "Task":
    """Return the task that a file or a bare source describes; its images are named, not read.

        >>> task = nacre.load_task("task.yaml")
        >>> task.name, sorted(task.classes)
        ('clip-art', ['bird', 'bug'])

    Args:
        path: The task file, or a source of images without one.
        config: Says by which method the tasks of its adapter are learnt; looked for where None.
        adapter: The adapter to grow, instead of the task file's.

    Raises:
        InputError: the file, or a source of images that it names, is missing or wrong.
        UnavailableError: an object store cannot be reached.
    """
    # Loaded when it is needed: what reads images needs Pillow and NumPy, and few commands read any.
    from workers.tasks import task as tasks

    chosen = config or configured()

    def method_of(named: str) -> str:
        return chosen.of_adapter(adapter or named).method

    meant = drafted(path) if isinstance(path, Path | str) else path
    file, content = (meant, None) if isinstance(meant, Path) else (meant.path, meant.content)
    return tasks.load_task(
        file, content=content, opener=open_store, adapter=chosen.adapter, method_of=method_of
    )
