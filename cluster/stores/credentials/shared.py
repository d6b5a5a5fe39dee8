"""Credentials of a store, as its settings name them: without a secret, in every process its own."""

import math
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workers.metrics import Meter
from workers.metrics.families import CREDENTIAL_ANSWERS, CREDENTIALS_LEFT, CREDENTIALS_TROUBLE

if TYPE_CHECKING:
    from cluster.stores.credentials.renewed import Renewed
    from cluster.stores.credentials.sources import Source

_SHARED: dict[str, "Renewed"] = {}
_SHARING = threading.Lock()


class S3Credentials:
    """Which credentials a store is opened with.

    When it is pickled, its name alone is: whoever reads that asks the environment of its own
    process.

    Args:
        named: As `credentials=` of an address names them; those of the store where empty.
        environment: The variables; those of this process where None.
    """

    # Owns: the provider, once somebody has asked for it.

    def __init__(self, named: str = "", environment: Mapping[str, str] | None = None) -> None:
        self.named = named
        self._environment = environment
        self._provider: Renewed | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return S3Credentials, (self.named,)

    def __repr__(self) -> str:
        return f"S3Credentials({self.named!r})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, S3Credentials) and self.named == other.named

    def __hash__(self) -> int:
        return hash(self.named)

    @property
    def source(self) -> "Source":
        """Where they come from.

        Raises:
            SettingsError: nothing says it, or half of it.
        """
        # minio takes a tenth of a second to import, which local stores need not pay.
        from cluster.stores.credentials.sources import source_of

        found = os.environ if self._environment is None else self._environment
        return source_of(found, self.named)

    @property
    def provider(self) -> "Renewed":
        """What gives them; one for all stores of this process that take them from one source.

        Raises:
            SettingsError: see `source`.
        """
        if self._provider is None:
            self._provider = _shared(self.source)
        return self._provider


def _shared(source: "Source") -> "Renewed":
    from cluster.stores.credentials.renewed import Renewed

    if not source.renews:
        return Renewed(source)
    with _SHARING:
        return _SHARED.setdefault(source.said, Renewed(source))


def measure(meter: Meter, replica: str) -> None:
    """Tell how the credentials of this process stand, and have them renewed where it is time to.

    Args:
        meter: Is told.
        replica: What the process is called in metrics.
    """
    with _SHARING:
        shared = list(_SHARED.values())
    if not shared:  # and minio need not be there
        return
    from cluster.stores.credentials.renewed import ANSWERS

    left: dict[str, float] = {}
    trouble: dict[str, float] = {}
    for each in shared:
        kind, standing = each.source.kind, each.keep()
        trouble.setdefault(kind, 0.0)
        if standing is None:
            continue
        trouble[kind] = max(trouble[kind], standing.trouble_s)
        if standing.left_s is not None:
            left[kind] = min(left.get(kind, math.inf), standing.left_s)
        for answer in ANSWERS:
            meter.count(CREDENTIAL_ANSWERS, kind, answer, by=standing.answers.get(answer, 0))
    meter.set_all(CREDENTIALS_LEFT, {(kind, replica): value for kind, value in left.items()})
    meter.set_all(CREDENTIALS_TROUBLE, {(kind, replica): value for kind, value in trouble.items()})


def secrets_held() -> list[str]:
    """Return what this process holds that nobody may be shown: keys and tokens."""
    with _SHARING:
        held = [each.held for each in _SHARED.values()]
    found = [each.credentials for each in held if each is not None]
    return [part for each in found for part in (each.secret_key, each.session_token or "") if part]
