"""A coordinator with all roles in this process, without Ray: for notebooks, scripts and debugging.

What it learns is in the store like anything that a system on Ray has learnt.
"""

import asyncio
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import AdapterRules, Setup
from workers.encoding.encoder import Encoder
from workers.learning.local_crew import LocalCrew
from workers.logs.keeping import WorkLogs, keep_what_is_written
from workers.store.base import ObjectStore


@contextmanager
def coordinating(
    store: ObjectStore,
    encoder: Encoder,
    *,
    rules: Callable[[str], AdapterRules] = lambda _adapter: AdapterRules(),
) -> Iterator[Coordinator]:
    """Learn what is submitted to `store` as long as the block lasts; the coordinator is given.

    Of all systems on a store one coordinates: where another one does, this one waits for its turn,
    and its `waits_for` says why. At the end of the block work under way is given up; the next one
    to coordinate finds it again.

    Args:
        store: Where the queue and everything else is.
        encoder: Embeds the images.
        rules: How the tasks of an adapter, given by its name, are learnt and published.
    """
    logs = WorkLogs(store, "local")
    keep_what_is_written(logs, ours_alone=True)
    crew = LocalCrew(encoder, store, logs=logs)
    setup = Setup(store=store, crew=crew, clock=time.time, rules=rules)
    host = socket.gethostname()
    coordinator = Coordinator(setup, owner=f"{host} {uuid.uuid4()}", host=host)
    begun: Future[asyncio.AbstractEventLoop] = Future()
    with ThreadPoolExecutor(1, thread_name_prefix="coordinator") as thread:
        running = thread.submit(lambda: asyncio.run(_run(coordinator, begun)))
        loop = begun.result()
        try:
            yield coordinator
        finally:
            loop.call_soon_threadsafe(coordinator.stop)
            running.result()
            logs.leave()


async def _run(coordinator: Coordinator, begun: Future[asyncio.AbstractEventLoop]) -> None:
    begun.set_result(asyncio.get_running_loop())
    await coordinator.run()
