"""Serving: which replicas answer, with what, and what keeps them from it."""

from dataclasses import dataclass

from cluster.console.known.replicas import Answering, KnownReplica
from cluster.console.shown.look import Look, Page


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedRow:
    """What one replica answers with for one adapter.

    Attributes:
        replica: The replica.
        adapter: Its name.
        state: What it answers with.
        wanted: What `production` is, as `adapter@number`; None for nothing.
        is_first: Whether it is the first row of its replica.
    """

    replica: KnownReplica
    adapter: str
    state: Answering
    wanted: str | None
    is_first: bool

    @property
    def is_behind(self) -> bool:
        """Whether it answers with something else than what is in production."""
        return self.state.version != self.wanted


def serving(look: Look) -> Page:
    """Show the replicas that have answered lately."""
    replicas = look.known.replicas
    return Page(
        template="serving.html.j2",
        title="Serving",
        content={
            "rows": [row for each in replicas.known.values() for row in _rows(look, each)],
            "replicas": [
                (each, [label for label in each.loaded if _sees(look, label)])
                for each in replicas.known.values()
            ],
            "around": replicas.around if look.may_somewhere("status") else {},
            "endpoint": look.sources.client.config.endpoint,
            "said": look.sources.places.said,
            "unserved": [
                each
                for each in look.adapters
                if each.production is not None and each.name not in (look.known.answering or {})
            ],
        },
    )


def _rows(look: Look, replica: KnownReplica) -> list[ServedRow]:
    seen = [name for name in replica.adapters if look.requester.sees(name)]
    return [
        ServedRow(
            replica=replica,
            adapter=name,
            state=replica.adapters[name],
            wanted=_production(look, name),
            is_first=number == 0,
        )
        for number, name in enumerate(seen)
    ]


def _production(look: Look, name: str) -> str | None:
    adapter = look.known.adapters.get(name)
    number = adapter.production if adapter else None
    return None if number is None else f"{name}@{number}"


def _sees(look: Look, label: str) -> bool:
    return look.requester.sees(label.partition("@")[0])
