"""Pages as HTML: whole, and as the regions of them that are live."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cluster.console.shown import charts, figures
from cluster.console.shown.look import Look, Page
from cluster.console.shown.static import digest_of_static
from cluster.version import this_build

PREFIX = "/console"
"""Where the pages lie, in whichever process."""
OF_ADAPTER = (("Versions", "versions"), ("Accuracy", "matrix"), ("Errors", "errors"))
"""Pages of one adapter, as the menu calls them, and the ends of their paths."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A page as it is sent.

    Attributes:
        html: All of it.
        regions: Its live regions as HTML, by their ids.
    """

    html: str
    regions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """What stands around a page.

    Attributes:
        csrf: What each form must send.
        said: What was just done.
        undo: The button that takes it back.
        is_live: Whether the page follows what happens.
        logged_in: Whether a session says who looks.
    """

    csrf: str
    said: str = ""
    undo: object | None = None
    is_live: bool = True
    logged_in: bool = False


def render(page: Page, look: Look, frame: Frame) -> Rendered:
    """Return a page as HTML."""
    regions: dict[str, str] = {}

    def live(name: str, *, caller: Callable[[], str], tag: str = "div") -> Markup:
        made = Markup('<{} id="{}" data-live>{}</{}>').format(tag, name, Markup(caller()), tag)
        regions[name] = str(made)
        return made

    html = (
        _environment()
        .get_template(page.template)
        .render(
            **page.content,
            live=live,
            look=look,
            page=page,
            frame=frame,
            prefix=PREFIX,
            known=look.known,
            build=this_build(),
            assets=digest_of_static(),
        )
    )
    return Rendered(html=html, regions=regions)


def rendered_step(what: str, done: int, total: int, seconds: float) -> str:
    """Return how far something is that takes long, as HTML.

    Args:
        what: What is being done.
        done: Units of it done.
        total: Units in all; 0 where nobody knows.
        seconds: How long it has gone on.
    """
    step = _environment().get_template("step.html.j2")
    return step.render(what=what, done=done, total=total, seconds=seconds)


def rendered_wrong(said: str) -> str:
    """Return why something did not come to its end, as HTML."""
    return str(
        Markup('<div class="note bad" role="alert"><p>{}</p></div>').format(figures.told(said))
    )


def menu(look: Look, adapter: str) -> list[tuple[str, str]]:
    """Return the labels and the paths of the menu.

    Args:
        look: Who looks.
        adapter: The adapter whose pages it leads to; empty where there is none.
    """
    of = f"/adapters/{adapter}"
    return [
        ("Overview", ""),
        ("Queue", "/queue"),
        *((label, f"{of}/{path}") for label, path in OF_ADAPTER if adapter),
        *([("Playground", "/playground")] if look.may_somewhere("predict") else []),
        *([("New task", "/tasks/new")] if look.may_somewhere("submit") else []),
        ("Serving", "/serving"),
        ("History", "/history"),
        ("Data", "/data"),
        ("Health", "/health"),
        ("Access", "/access"),
    ]


def is_here(look: Look, path: str) -> bool:
    """Return whether a path of the menu is that of the page, or the page lies below it."""
    wanted = f"{PREFIX}{path}"
    return look.path == wanted or (bool(path) and look.path.startswith(f"{wanted}/"))


def digest_of_region(html: str) -> str:
    """Return what tells one content of a region from another."""
    return hashlib.sha256(html.encode()).hexdigest()[:16]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cluster.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "moment": figures.moment,
        "told": figures.told,
        "duration": figures.duration,
        "percent": figures.percent,
        "points": figures.points,
        "size": figures.size,
        "short": figures.short,
    }
    environment.globals |= {
        "count": figures.count,
        "heat": charts.heat,
        "charts": charts,
        "is_here": is_here,
        "menu": menu,
        "steps": figures.STEPS,
        "summary": figures.summary,
    }
    return environment
