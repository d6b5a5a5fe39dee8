"""Configuration of a running system: what it publishes of it, and how another one differs.

The file is read when a system starts, and again by every command. Both may say different things by
then: whoever leads the queue publishes what it was started with beside its lead, so that a command
that has nothing but the store can compare.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError

from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.json_reading import typed
from cluster.config import AdapterConfig, Config, RequesterLimits
from cluster.wire.outputs.submissions import ComparedConfig
from workers.queue.leadership import Leadership
from workers.queue.machine import EVERY_ADAPTER

Published = Mapping[str, Any]
"""A configuration as JSON, by the keys of the file."""

OF_ONE_MACHINE = frozenset({"store", "ray", "cache_bytes", "remote", "serve.host", "serve.port"})
"""Keys that say how one machine reaches the system: others may well say something else."""
LIVE = (
    "adapters",
    "retention",
    "events",
    *("workers.attempts", "workers.encode_at_once", "workers.encode_at_once_per_adapter"),
    "workers.poll_s",
)
"""What the coordinator alone reads, with all that is below: it is changed while all else runs."""
BY_NAME: Mapping[str, type[AdapterConfig] | type[RequesterLimits]] = {
    "adapters": AdapterConfig,
    "limits": RequesterLimits,
}
"""Keys whose value has rules by name, `*` for those that are not named."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningConfig:
    """What the system that coordinates was configured with.

    Attributes:
        published: As it says.
    """

    published: Published

    @classmethod
    def of(cls, lead: Leadership | None, *, now: float) -> "RunningConfig | None":
        """Return what the system says that leads; None where none does, or it says nothing."""
        if lead is None or lead.configuration is None or not lead.lasts(now=now):
            return None
        return cls(published=lead.configuration)

    @property
    def digest(self) -> str:
        """Names what was published: equal configurations have equal digests."""
        return digest_of(canonical_json(self.published))[:12]

    @property
    def served(self) -> tuple[str, ...] | None:
        """The adapters whose `production` its replicas follow; None where it does not say."""
        serve = self.published.get("serve", {})
        if "adapter" not in self.published or "adapters" not in serve:
            return None
        return tuple(dict.fromkeys((self.published["adapter"], *serve["adapters"])))

    def differing(self, config: Config) -> tuple[str, ...]:
        """Return the keys in which `config` differs from what was published."""
        return differing(self.published, published(config))

    def compared_with(self, config: Config) -> ComparedConfig:
        """Return the digest of what was published, and what differs in `config`."""
        return ComparedConfig(digest=self.digest, differs=list(self.differing(config)))

    def unlike(self, config: Config) -> str | None:
        """Return that `config` is another one, and what to do; None where it is the same."""
        keys = self.differing(config)
        if not keys:
            return None
        live = sum(map(is_live, keys))
        if live == len(keys):
            way = "`nacre up` applies that while it runs"
        elif live:
            way = "`nacre up` applies what can be changed while it runs, and names the rest"
        else:
            way = "`nacre down`, then `nacre up` starts it with this one"
        return (
            f"the running system has another configuration than this one ({self.digest}): they "
            f"differ in {', '.join(keys)}; {way}"
        )

    def in_effect(self, config: Config) -> Config:
        """Return `config` as far as nothing else was published."""
        keys = _merged(everything(config), self.published)
        by_name = {key: self.published.get(key, keys[key]) for key in BY_NAME}
        try:
            return typed(Config).validate_python({**keys, **by_name})
        except ValidationError:  # of a release that knows other rules
            return config


def published(config: Config) -> Published:
    """Return what a system publishes of `config`: all but how one machine reaches it."""
    keys = everything(config)
    serve = {key: value for key, value in keys["serve"].items() if _counts(f"serve.{key}")}
    return {key: value for key, value in keys.items() if _counts(key)} | {"serve": serve}


def everything(config: Config) -> Published:
    """Return all of `config` as JSON."""
    keys: Published = typed(Config).dump_python(config, mode="json")
    return keys


def differing(before: Published, after: Published) -> tuple[str, ...]:
    """Return the keys whose values differ, as `workers.poll_s`; what one does not know is equal.

    Adapters and requesters that one of the two does not name are compared by what would count for
    them.
    """
    both = ({k: v for k, v in keys.items() if k not in BY_NAME} for keys in (before, after))
    found = list(_differing(*both))
    for part in BY_NAME:
        if part in before and part in after:
            found += _differing_by_name(part, before[part], after[part])
    return tuple(found)


def is_live(key: str) -> bool:
    """Return whether a key of `differing` can be changed while the system runs."""
    return any(key == live or key.startswith(f"{live}.") for live in LIVE)


def with_live(running: Config, wanted: Config) -> Config:
    """Return `running` with everything of `wanted` that can be changed while the system runs."""
    workers = replace(
        running.workers,
        attempts=wanted.workers.attempts,
        encode_at_once=wanted.workers.encode_at_once,
        encode_at_once_per_adapter=wanted.workers.encode_at_once_per_adapter,
        poll_s=wanted.workers.poll_s,
    )
    return replace(
        running,
        adapters=wanted.adapters,
        retention=wanted.retention,
        events=wanted.events,
        workers=workers,
    )


def not_served(adapter: str, running: RunningConfig | None, config: Config) -> str | None:
    """Return that no replica answers for `adapter`, and what to do; None where some do.

    Args:
        adapter: Its name.
        running: What the system that coordinates was configured with; None where none does.
        config: Counts where that does not say which adapters are served.
    """
    served = (running.served if running else None) or config.served
    if adapter in served:
        return None
    return (
        f"no replica serves adapter {adapter!r} (served: {', '.join(served)}); name it under "
        "`serve: adapters:` in the configuration and start the system again"
    )


def _counts(key: str) -> bool:
    return key not in OF_ONE_MACHINE


def _differing_by_name(part: str, before: Published, after: Published) -> Iterator[str]:
    for name in sorted({*before, *after, EVERY_ADAPTER}):
        of_both = (_rules_of(part, name, rules) for rules in (before, after))
        yield from (f"{part}.{name}.{key}" for key in _differing(*of_both))


def _rules_of(part: str, name: str, rules: Published) -> Published:
    found = rules.get(name) or rules.get(EVERY_ADAPTER)
    return found or asdict(BY_NAME[part]())


def _merged(below: Published, above: Published) -> dict[str, Any]:
    """Return the keys of `below` with the values that `above` has for them."""
    found = dict(below)
    for key, old in below.items():
        new = above.get(key, old)
        both = isinstance(old, Mapping) and isinstance(new, Mapping)
        found[key] = _merged(old, new) if both else new
    return found


def _differing(before: Published, after: Published) -> Iterator[str]:
    for key in (known for known in before if known in after):
        old, new = before[key], after[key]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from (f"{key}.{below}" for below in _differing(old, new))
        elif old != new:
            yield key
