"""A look at a page, an act on it, and what comes of either: plain values."""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO
from urllib.parse import urlencode

from adapters.errors import InputError
from cluster.api.lasting.answers import Watch
from cluster.api.lasting.inspecting import InspectionHandlers
from cluster.api.places import Places
from cluster.api.task_handlers import TaskHandlers
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.console.known.journals import Journals
from cluster.console.known.pictures import Pictures
from cluster.console.known.snapshot import KnownAdapter, Snapshot
from cluster.wire.facts import version_document
from cluster.wire.versions import PublishedVersion
from workers.queue.progress import State
from workers.queue.ticket import Stage

LONGEST_FIELD = 2000
"""Characters of a parameter or a field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """What pages are made from, besides the snapshot.

    Attributes:
        client: Of the system.
        journals: Of submissions.
        pictures: Of submissions.
        tasks: Takes tasks in that are sent.
        inspections: Looks at tasks that are sent.
        places: What stands for places of the service's own in what is said.
    """

    client: Client
    journals: Journals
    pictures: Pictures
    tasks: TaskHandlers
    inspections: InspectionHandlers
    places: Places


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """Somebody looks at a page.

    Attributes:
        requester: Who.
        known: What is known at this moment.
        sources: What else the page may be made from.
        path: The path of the page.
        named: What its path names, such as the adapter.
        query: Parameters of its address, the last of each name.
        error: Why what was asked for on this page was not done.
    """

    requester: Requester
    known: Snapshot
    sources: Sources
    path: str = ""
    named: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    def may(self, verb: str, adapter: str) -> bool:
        """Return whether they may do this to an adapter, or to all of them (`*`)."""
        return self.requester.grants.permits(verb, adapter)

    def may_somewhere(self, verb: str) -> bool:
        """Return whether they may do this to some adapter."""
        return self.requester.grants.permits_somewhere(verb)

    @property
    def adapters(self) -> list[KnownAdapter]:
        """The adapters that they may look at."""
        return [each for each in self.known.adapters.values() if self.requester.sees(each.name)]

    @property
    def stages(self) -> Counter[Stage]:
        """How many submissions that they may look at are in each stage."""
        found: Counter[Stage] = Counter()
        for (adapter, stage), number in self.known.queue.counts.items():
            if self.requester.sees(adapter):
                found[stage] += number
        return found

    def states(self, stages: Container[Stage] = frozenset(Stage)) -> list[State]:
        """Return the submissions in some stages that they may look at."""
        named = {adapter for adapter, _ in self.known.queue.counts}
        seen = {adapter for adapter in named if self.requester.sees(adapter)}
        return [
            state
            for state in self.known.queue.states
            if state.ticket.stage in stages and state.ticket.adapter in seen
        ]

    def adapter(self) -> KnownAdapter:
        """Return the adapter that the path names; ForbiddenError unless they may look at it."""
        name = self.named["adapter"]
        self.requester.check("status", name)
        return self.known.adapter(name)

    def version(self, adapter: KnownAdapter, named: int | str) -> PublishedVersion:
        """Return a version by its number or an alias, read where it is not known.

        Raises:
            NotFoundError: there is none.
        """
        found, number = adapter.find(named), adapter.number(named)
        if found is None and number is not None and 0 < number < adapter.count:
            found = version_document(self.sources.client.show(number, adapter=adapter.name))
        return found or adapter.version(named)

    def asked(self, name: str, default: str = "") -> str:
        """Return a parameter of the address, cut where it is too long."""
        return self.query.get(name, default)[:LONGEST_FIELD]

    def number(self, name: str, default: int = 0, *, most: int = 1_000_000) -> int:
        """Return a parameter that is a whole number from 0; `default` where it is none."""
        text = self.query.get(name, "")
        return min(int(text), most) if text.isdecimal() and len(text) < 10 else default

    def link(self, **changed: object) -> str:
        """Return the address of this page with some parameters changed; None leaves one out."""
        query = {**self.query, **changed}
        kept = {name: value for name, value in query.items() if value not in (None, "")}
        return f"{self.path}?{urlencode(kept)}" if kept else self.path


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file that was sent.

    Attributes:
        name: As the browser names it.
        file: Its bytes.
        size: How many.
    """

    name: str
    file: BinaryIO
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """Somebody asks for something on a page.

    Attributes:
        look: Who, and on which page.
        form: The fields of its form, in their order.
        files: What was sent with it, by the name of the field.
    """

    look: Look
    form: Sequence[tuple[str, str]] = ()
    files: Mapping[str, Sequence[Upload]] = field(default_factory=dict)

    def field(self, name: str) -> str:
        """Return a field without blanks around it; empty where there is none."""
        found = next((value for key, value in self.form if key == name), "")
        return found.strip()[:LONGEST_FIELD]

    def fields(self, name: str) -> list[str]:
        """Return all fields of a name."""
        return [value for key, value in self.form if key == name]

    @property
    def filled(self) -> Look:
        """The page as it is shown again: with what was filled in."""
        return replace(self.look, query={**self.look.query, **dict(self.form)})

    def reason(self) -> str:
        """Return why it is done; InputError where nothing is said."""
        why = self.field("why")
        if not why:
            raise InputError(
                "expected a reason, found none: say why, for whoever reads the history"
            )
        return why


@dataclass(frozen=True, kw_only=True, slots=True)
class Button:
    """Something that can be done with one button.

    Attributes:
        label: What it says.
        path: Where its form goes.
        fields: What its form has.
    """

    label: str
    path: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Something was done.

    Attributes:
        said: What, as a sentence.
        onto: The path that is shown next.
        undo: What takes it back; None where nothing does.
    """

    said: str
    onto: str
    undo: Button | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """A page that is to be shown.

    Attributes:
        template: Its template.
        title: Its title.
        content: What the template shows.
        status: Of the answer.
    """

    template: str
    title: str
    content: Mapping[str, object] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """A file that is answered in place of a page.

    Attributes:
        name: Of the file.
        kind: Its media type.
        content: Its bytes.
    """

    name: str
    kind: str
    content: bytes


Shown = Page | Download


@dataclass(frozen=True, kw_only=True, slots=True)
class Lasting:
    """Something that takes long, and is shown on its page while it goes on.

    Attributes:
        begun: The page as long as nothing is found.
        look: At that page.
        region: The region of the page that shows how far it is, and then what was found.
        work: Does it, and returns the page with what was found; it tells its argument how far it
            is, and ends where nobody waits.
    """

    begun: Page
    look: Look
    region: str
    work: Callable[[Watch], Page]


@dataclass(frozen=True, kw_only=True, slots=True)
class PageRoute:
    """One page: its path, what shows it, and what is done on it.

    Attributes:
        path: With the names of its parts in braces.
        show: Shows it.
        act: Does what its forms ask for; None where it has none. It returns what was done, a page
            that shows what was found, or what takes long.
        most_files: That may be sent with a form of it.
        is_live: Whether an open page follows what happens.
        timeout_s: So long what is done on it may take, in seconds.
        images: Says how many images replicas are asked about by a form of it.
    """

    path: str
    show: Callable[[Look], Shown]
    act: Callable[[Act], Done | Shown | Lasting] | None = None
    most_files: int = 0
    is_live: bool = True
    timeout_s: float = 60.0
    images: Callable[[Act], int] = lambda _: 0
