"""Deployments as Serve tells of them: which do not run, and why, in the words of their own error.

Serve says why a replica did not start as text: some words of its own, and the traceback that its
constructor ended with. What stands at the end of that is what a person needs.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatusOverview,
    ServeStatus,
)

from adapters import errors
from adapters.errors import NacreError, StoreRefusedError, UnavailableError, printable
from adapters.guidance import Section
from cluster.runtime.names import role_of

MOST_REASON = 1000
MORE = (
    "`nacre doctor` checks what it needs; Serve's logs in Ray's folder say more (logs/serve in "
    "/tmp/ray/session_latest, unless Ray was told another)"
)
_ERROR = re.compile(r"^(?:[A-Za-z_]\w*\.)*([A-Z]\w*): (.+)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """A deployment whose replicas do not start, or are not healthy.

    Attributes:
        name: Of the deployment: `trainer`.
        application: The application that it is part of.
        reason: The constructor's own error as a sentence, or what Serve says.
        kind: The class of that error; UnavailableError where it is none of nacre's.
        given_up: Whether Serve tries no more.
    """

    name: str
    application: str
    reason: str
    kind: type[NacreError]
    given_up: bool

    @property
    def is_final(self) -> bool:
        """Whether it will not start until a person changes something, or Serve is told to try."""
        refused = issubclass(self.kind, StoreRefusedError)
        return self.given_up or refused or not issubclass(self.kind, UnavailableError)

    def error(self) -> NacreError:
        """Return the error to raise for it."""
        reason = self.reason.rstrip(".")
        said = f"the {self.name} does not start: {reason}. {MORE}"
        return self.kind(said, deployment=self.name, help=Section.NOT_STARTED)


def broken(status: ServeStatus) -> list[Broken]:
    """Return what does not run, as Serve says."""
    return [found for name, app in status.applications.items() for found in _broken_of(name, app)]


def unfinished(status: ServeStatus, wanted: Iterable[str]) -> list[str]:
    """Return which applications do not run as they were declared, each with what Serve says."""
    found = []
    for name in sorted(wanted):
        app = status.applications.get(name)
        if app is None or app.status is not ApplicationStatus.RUNNING:
            said = app and [_told(each) for each in app.deployments.values() if each.message]
            found.append(f"{role_of(name)}: {_shortened(' '.join(said or ['is being started']))}")
    return found


def reason_in(message: str) -> tuple[type[NacreError], str]:
    """Return which of our errors stands at the end of what Serve says, and its text."""
    found = None
    for line in re.finditer(r"^\S.*$", message, re.MULTILINE):
        found = _ERROR.match(message, line.start()) or found
    if found is None:
        return UnavailableError, _shortened(message)
    kind, text = getattr(errors, found[1], None), _shortened(found[2])
    if isinstance(kind, type) and issubclass(kind, NacreError):
        return kind, text
    return UnavailableError, f"{found[1]}: {text}"


def _broken_of(name: str, app: ApplicationStatusOverview) -> Iterator[Broken]:
    given_up = app.status is ApplicationStatus.DEPLOY_FAILED
    found = [
        Broken(name=each, application=name, reason=reason, kind=kind, given_up=given_up)
        for each, entry in app.deployments.items()
        for kind, reason in _failing(entry)
    ]
    if given_up and not found:  # what would build it has failed
        kind, reason = reason_in(app.message)
        found = [
            Broken(name=role_of(name), application=name, reason=reason, kind=kind, given_up=True)
        ]
    yield from found


def _failing(deployment: DeploymentStatusOverview) -> Iterator[tuple[type[NacreError], str]]:
    failing = deployment.status.value in ("UNHEALTHY", "DEPLOY_FAILED")
    if failing or "Error:\n" in deployment.message:
        yield reason_in(deployment.message)


def _told(deployment: DeploymentStatusOverview) -> str:
    """Return the error of a deployment, or what Serve says of it, without its last full stop."""
    return next((reason for _, reason in _failing(deployment)), deployment.message).rstrip(".")


def _shortened(text: str) -> str:
    words = printable(" ".join(text.split()))
    return words if len(words) <= MOST_REASON else f"{words[:MOST_REASON]} …"
