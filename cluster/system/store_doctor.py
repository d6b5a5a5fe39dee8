"""Diagnostics of one store: its conditions tried alone, and races from several processes."""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from adapters.errors import InputError
from cluster.stores.open import open_store
from cluster.system.race_results import Figures
from cluster.system.store_races import run_races
from cluster.system.store_report import StoreReport
from workers.progress_callbacks import ProgressCallback
from workers.store.base import ObjectStore
from workers.store.conditional_writes import check_alone
from workers.store.conditions import WISHED
from workers.store.scratch import Scratch
from workers.store.servers import server_of

SECONDS = 30.0
PROCESSES = 4


def examine_store(
    urls: Sequence[str],
    *,
    seconds: float = SECONDS,
    processes: int = PROCESSES,
    report: ProgressCallback,
    opened: Callable[[str], ObjectStore] = open_store,
) -> StoreReport:
    """Race for keys of a store and return what was found; what was written is removed.

    Args:
        urls: Its address, or several of one store, over which the processes are spread.
        seconds: How long.
        processes: How many race.
        report: Is told seconds done and seconds in all.
        opened: Opens a store.

    Raises:
        InputError: The store is of this process alone, or the addresses are not of one store.
        SettingsError: Credentials are missing.
        StoreRefusedError: The store does not let us in.
        UnavailableError: It cannot be reached.
    """
    if any(urlsplit(url).scheme == "memory" for url in urls):
        raise InputError("a store in memory is of one process: several cannot race for it")
    stores = [opened(url) for url in urls]
    with Scratch(stores[0]) as scratch:
        answered = server_of(scratch)
        broken = check_alone(scratch)
        figures = Figures()
        if not set(broken) - set(WISHED):
            figures = run_races(
                scratch, stores, seconds=seconds, processes=processes, report=report
            )
    return StoreReport(
        urls=tuple(store.url for store in stores),
        answered=answered,
        seconds=seconds,
        processes=processes,
        broken=broken,
        figures=figures,
    )
