"""Calls of the HTTP API as values: what is asked, and what becomes of its answer."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from adapters.contract.json_reading import is_text
from adapters.errors import InputError, printable
from cluster.client.remote.readings import Document, Lines, Reading
from cluster.wire.headers import TIMEOUT_S
from cluster.wire.lasting import LINES
from workers.progress_callbacks import ProgressCallback, unwatched

Answer = TypeVar("Answer")


def as_it_is(found: Any) -> Any:
    """Return what was found."""
    return found


def nothing_more(found: Any) -> None:
    """Say that an answer is whole."""
    del found


def nothing_else() -> AbstractContextManager[Mapping[str, object]]:
    """Give nothing more to send."""
    return nullcontext({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Generic[Answer]):
    """A request to the HTTP API.

    Attributes:
        kind: What its answer is, as Pydantic reads it; None for an answer without content.
        verb: GET, POST, PUT or DELETE.
        path: After the endpoint.
        accepts: The type of answer that is asked for.
        arguments: What httpx is to send with it.
        opened: Gives what to send besides, and takes it back, where that is a file.
        timeout_s: Seconds for all attempts together.
        patient: Whether it is sent again when nobody answers, or somebody is too busy to.
        changes: Whether it changes something.
        becomes: Makes of what was answered what the caller is given.
        missing: What counts as answered where there is no such thing; None: the error is raised.
        further: Makes of a list that was answered the call for what comes behind it; None where
            nothing does.
        reads: Reads an answer with given headers, where that is no document of its kind alone.

    Raises:
        InputError: some text in it could not be sent.
    """

    kind: Any
    verb: str
    path: str
    accepts: str = "application/json"
    arguments: Mapping[str, object] = field(default_factory=dict)
    opened: Callable[[], AbstractContextManager[Mapping[str, object]]] = nothing_else
    timeout_s: float = TIMEOUT_S
    patient: bool = True
    changes: bool = False
    becomes: Callable[[Any], Answer] = as_it_is
    missing: object = None
    further: "Callable[[Any], Call[Answer] | None]" = nothing_more
    reads: Callable[[Mapping[str, str]], Reading] | None = None

    def __post_init__(self) -> None:
        _check_texts(self.arguments)

    def reading(self, headers: Mapping[str, str]) -> Reading:
        """Return what reads an answer to it that begins with these headers."""
        return self.reads(headers) if self.reads is not None else Document(self.kind)


def look(kind: type[Answer], path: str, **query: object) -> Call[Answer]:
    """Return the call that looks at something.

    Args:
        kind: What is answered.
        path: Of the route.
        query: What is asked besides; what is None is left out.
    """
    return Call(kind=kind, verb="GET", path=path, arguments=asking(query))


def change(kind: type[Answer], path: str, *, verb: str = "POST", **body: object) -> Call[Answer]:
    """Return the call that changes something.

    Args:
        kind: What is answered.
        path: Of the route.
        verb: Of the request.
        body: What is asked, as JSON; nothing is sent where there is none.
    """
    arguments = {"json": body} if body else {}
    return Call(kind=kind, verb=verb, path=path, arguments=arguments, changes=True)


def asking(query: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments of a request with a query, without what is None."""
    given = {name: value for name, value in query.items() if value is not None}
    return {"params": given} if given else {}


def path_to(*parts: str) -> str:
    """Return the path of a route, whatever the names in it are written with.

    Raises:
        InputError: a name is empty.
    """
    if "" in parts:
        raise InputError("expected a name, found an empty one")
    return "/v1/" + "/".join(map(_segment, parts))


def _check_texts(value: object) -> None:
    """Raise InputError where a text has half a character, as a name has that is no UTF-8."""
    if isinstance(value, str) and not is_text(value):
        raise InputError(f"expected text, found {printable(value):.80}, which is no UTF-8")
    for inside in value.items() if isinstance(value, Mapping) else ():
        _check_texts(inside)
    for inside in value if isinstance(value, list | tuple) else ():
        _check_texts(inside)


def _segment(name: str) -> str:
    _check_texts(name)
    written = quote(name, safe="")
    # Written otherwise, it would be another path.
    return written.replace(".", "%2E") if set(written) == {"."} else written


def in_lines(
    kind: type[Answer],
    path: str,
    *,
    body: Mapping[str, object] | None = None,
    on_progress: ProgressCallback = unwatched,
    changes: bool = True,
    opened: Callable[[], AbstractContextManager[Mapping[str, object]]] = nothing_else,
    timeout_s: float = TIMEOUT_S,
) -> Call[Answer]:
    """Return the call of what may take long, whose answer comes with how far it is.

    Args:
        kind: What is answered at last.
        path: Of the route.
        body: What is asked, as JSON; None where nothing of that is sent.
        on_progress: Called with units done and units in all.
        changes: Whether it changes something.
        opened: See `Call`.
        timeout_s: See `Call`.
    """

    def step(_: str, done: int, total: int) -> None:
        on_progress(done, total)

    return Call(
        kind=kind,
        verb="GET" if body is None and not changes else "POST",
        path=path,
        arguments={} if body is None else {"json": body},
        opened=opened,
        accepts=LINES,
        reads=lambda _: Lines(kind, on_step=step),
        timeout_s=timeout_s,
        changes=changes,
    )
