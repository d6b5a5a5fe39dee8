"""History: every move and every action, with who, when, why and from where."""

import csv
import io
from dataclasses import dataclass

from cluster.console.known.snapshot import KnownAdapter
from cluster.console.shown.look import Download, Look, Page, Shown
from cluster.wire.versions import HistoryEntry
from workers.registry.documents.layout import HEAD, PRODUCTION

ON_A_PAGE = 100
MOST_DAYS = 31


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """One move of an adapter.

    Attributes:
        adapter: The adapter.
        entry: The move.
        revert: The path of the form that takes it back; empty where nothing does.
    """

    adapter: str
    entry: HistoryEntry
    revert: str

    @property
    def moves(self) -> str:
        """The aliases that were moved, as people write it."""
        return ", ".join(
            f"{alias} {_number(move['from'])} → {_number(move['to'])}"
            for alias, move in self.entry.moves.items()
        )


def _number(version: int | None) -> str:
    return "none" if version is None else str(version)


def history(look: Look) -> Shown:
    """Show the moves of all adapters, the latest first; to an admin also what was asked for."""
    found = [
        Moved(adapter=adapter.name, entry=entry, revert=_revert(adapter, entry))
        for adapter in look.adapters
        for entry in adapter.moves
        if _is_wanted(adapter.name, entry, look)
    ]
    found.sort(key=lambda moved: (-moved.entry.when, moved.adapter, -moved.entry.index))
    if look.asked("format") == "csv":
        return _csv(found)
    first = look.number("from")
    calls = _calls(look) if look.asked("calls") else []
    return Page(
        template="history.html.j2",
        title="History",
        content={
            "moves": found[first : first + ON_A_PAGE],
            "found": len(found),
            "first": first,
            "step": ON_A_PAGE,
            "names": [adapter.name for adapter in look.adapters],
            "actions": sorted({e.action for a in look.adapters for e in a.moves}),
            "may_audit": look.may_somewhere("audit"),
            "calls": calls,
            "days": look.number("days", 7, most=MOST_DAYS),
        },
    )


def _is_wanted(adapter: str, entry: HistoryEntry, look: Look) -> bool:
    text = look.asked("q").lower()
    return (
        look.asked("adapter") in ("", adapter)
        and look.asked("action") in ("", entry.action)
        and (not text or text in entry.who.lower() or text in entry.why.lower())
    )


def _revert(adapter: KnownAdapter, entry: HistoryEntry) -> str:
    """Return the form with which production is what it was before a move."""
    moved = entry.moves.get(PRODUCTION)
    before = moved and moved["from"]
    if moved is None or before is None or adapter.production != moved["to"]:
        return ""
    verb = "rollback" if HEAD in entry.moves else "promote"
    return f"/console/adapters/{adapter.name}/{verb}/{before}"


def _calls(look: Look) -> list[object]:
    """Return what the audit log says, of what they are admin of."""
    days = look.number("days", 7, most=MOST_DAYS)
    found = look.sources.client.audit(
        adapter=look.asked("adapter") or None, days=days, by=look.requester
    )
    text = look.asked("q").lower()
    wanted: list[object] = []
    for entry in found:
        if not text or text in entry.who.lower() or text in entry.verb:
            wanted.append(entry)
        if len(wanted) >= ON_A_PAGE:
            break
    return wanted


def _csv(found: list[Moved]) -> Download:
    written = io.StringIO()
    lines = csv.writer(written)
    lines.writerow(["adapter", "index", "when", "who", "action", "moves", "version", "why"])
    for moved in found:
        entry = moved.entry
        lines.writerow(
            [
                moved.adapter,
                entry.index,
                entry.when,
                _cell(entry.who),
                entry.action,
                moved.moves,
                entry.published or "",
                _cell(entry.why),
            ]
        )
    content = written.getvalue().encode()
    return Download(name="history.csv", kind="text/csv; charset=utf-8", content=content)


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
