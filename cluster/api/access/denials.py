"""Denials in the audit log: the first of a kind at once, and further ones of a minute together.

Whoever sends a thousand requests with a wrong token makes two entries of them, and not a thousand.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from adapters.errors import NacreError
from workers.access.audit import AuditEntry
from workers.queue.machine import EVERY_ADAPTER
from workers.registry.documents.layout import is_adapter

TOGETHER_S = 60.0
MOST_KINDS = 200
"""Kinds that are told apart within that time; beyond them adapters and targets are left out."""

Kind = tuple[str, str, str, str]
logger = logging.getLogger("nacre.access")


class DenialCounts:
    """What is to be written down of denials; decides, and writes nothing."""

    # Owns: the kinds of this minute, with what was not written down yet.

    def __init__(self) -> None:
        self._kinds: dict[Kind, AuditEntry | None] = {}

    def note(self, entry: AuditEntry) -> AuditEntry | None:
        """Return what is to be written down at once of a denial; None where it is only counted."""
        if not is_adapter(entry.adapter):
            entry = replace(entry, adapter=EVERY_ADAPTER)
        kind = _kind(entry)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            entry = replace(entry, adapter=EVERY_ADAPTER, target="")
            kind = _kind(entry)
        if kind not in self._kinds:
            self._kinds[kind] = None
            return entry
        held = self._kinds[kind]
        times = held.times + 1 if held else 1
        self._kinds[kind] = replace(held or entry, times=times)
        return None

    def take(self) -> list[AuditEntry]:
        """Return what was counted since the last time, and begin anew."""
        held = [entry for entry in self._kinds.values() if entry is not None]
        self._kinds.clear()
        return held


class Denials:
    """Writes denials down, beside the requests. Belongs to one event loop.

    Args:
        write: Keeps an entry, in a thread.
        together_s: For how long further ones are counted.
    """

    # Owns: the counts, and the thread that writes.

    def __init__(
        self, write: Callable[[AuditEntry], object], *, together_s: float = TOGETHER_S
    ) -> None:
        self._write = write
        self._together_s = together_s
        self._counts = DenialCounts()
        self._thread = ThreadPoolExecutor(1, "denials")
        self._is_counting = False

    def note(self, entry: AuditEntry) -> None:
        """Have a denial written down, now or with others of its kind; nobody waits for it."""
        at_once = self._counts.note(entry)
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_later(self._together_s, self._write_counted)
        if at_once is not None:
            self._thread.submit(self._kept, at_once)

    def _write_counted(self) -> None:
        self._is_counting = False
        for entry in self._counts.take():
            self._thread.submit(self._kept, entry)

    def _kept(self, entry: AuditEntry) -> None:
        try:
            self._write(entry)
        except NacreError as error:
            logger.warning("a denial is in no audit log: %s", error.message)
        except Exception:
            logger.exception("a denial is in no audit log")


def _kind(entry: AuditEntry) -> Kind:
    return (entry.who, entry.verb, entry.adapter, entry.target)
