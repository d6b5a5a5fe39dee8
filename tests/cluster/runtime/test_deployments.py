"""What Serve says of a deployment that does not run, and what of it a person is told."""

import pytest
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatus,
    DeploymentStatusOverview,
    DeploymentStatusTrigger,
    ServeStatus,
)

from adapters.errors import (
    CorruptionError,
    NacreError,
    SettingsError,
    StoreRefusedError,
    UnavailableError,
)
from cluster.runtime.deployments import broken, reason_in, unfinished

HEAD = """A replica failed to start with exception. Retrying 2 more time(s). Error:
\x1b[36mray::ServeReplica:nacre-trainer:trainer.initialize_and_get_metadata()\x1b[39m (pid=7)
  File "/site-packages/ray/serve/_private/replica.py", line 1, in initialize_and_get_metadata
    await self._replica_impl.initialize(deployment_config)
RuntimeError: Traceback (most recent call last):
  File "/nacre/workers/encoding/encoder.py", line 87, in _load
    raise not_loaded(settings, error) from error
"""
MESSAGES: list[tuple[str, type[NacreError], str]] = [
    (HEAD + "adapters.errors.SettingsError: expected this: found that", SettingsError,
     "expected this: found that"),
    (HEAD + "adapters.errors.StoreRefusedError: a wrong key\n", StoreRefusedError, "a wrong key"),
    (HEAD + "adapters.errors.CorruptionError: damaged\nin two\nlines", CorruptionError,
     "damaged in two lines"),
    (HEAD + "ModuleNotFoundError: No module named 'x'", UnavailableError,
     "ModuleNotFoundError: No module named 'x'"),
    (HEAD + "somebody.NacreError: not ours, but called so", NacreError, "not ours, but called so"),
    ("The health check failed.", UnavailableError, "The health check failed."),
    ("", UnavailableError, ""),
    ("Error:\n" + "x" * 10**6, UnavailableError, "Error: xxx"),
    (HEAD + "ValueError: \x1b[31mred\x1b[39m \ud800", UnavailableError,
     "ValueError: \\x1b[31mred\\x1b[39m \\ud800"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "kind", "reason"), MESSAGES)
def test_of_a_traceback_the_error_at_its_end_is_told(
    message: str, kind: type[NacreError], reason: str
) -> None:
    found, text = reason_in(message)
    assert found is kind
    assert text.startswith(reason)
    assert len(text) < 1100
    text.encode()


def said(
    message: str,
    *,
    status: DeploymentStatus = DeploymentStatus.UPDATING,
    app: ApplicationStatus = ApplicationStatus.DEPLOYING,
) -> ServeStatus:
    deployment = DeploymentStatusOverview(
        status=status,
        status_trigger=DeploymentStatusTrigger.UNSPECIFIED,
        replica_states={},
        message=message,
    )
    overview = ApplicationStatusOverview(
        status=app, message="", last_deployed_time_s=1.0, deployments={"trainer": deployment}
    )
    return ServeStatus(applications={"nacre-trainer": overview})


@pytest.mark.parametrize(
    ("error", "given_up", "final"),
    [
        ("adapters.errors.SettingsError: x", False, True),  # tried again it will be the same
        ("adapters.errors.StoreRefusedError: x", False, True),  # said at once to who waits
        ("adapters.errors.UnavailableError: x", False, False),  # the store may come back
        ("adapters.errors.UnavailableError: x", True, True),
        ("OSError: x", False, False),  # Serve tries it again
        ("OSError: x", True, True),
    ],
)
def test_what_is_of_no_use_to_be_waited_for_ends_the_wait(
    error: str, given_up: bool, final: bool
) -> None:
    app = ApplicationStatus.DEPLOY_FAILED if given_up else ApplicationStatus.DEPLOYING
    (found,) = broken(said(HEAD + error, app=app))
    assert found.is_final is final
    assert found.error().message.startswith("the trainer does not start: ")
    assert "`nacre doctor`" in found.error().message


def test_what_runs_or_is_being_started_is_not_broken() -> None:
    assert broken(said("")) == []
    assert broken(said("", status=DeploymentStatus.HEALTHY)) == []
    assert broken(ServeStatus()) == []


def test_an_application_that_cannot_be_built_is_told_by_its_own_error() -> None:
    overview = ApplicationStatusOverview(
        status=ApplicationStatus.DEPLOY_FAILED,
        message=HEAD + "adapters.errors.SettingsError: unknown key 'prot'",
        last_deployed_time_s=1.0,
        deployments={},
    )
    (found,) = broken(ServeStatus(applications={"nacre-trainer": overview}))
    assert (found.name, found.application) == ("trainer", "nacre-trainer")
    assert (found.kind, found.reason, found.is_final) == (
        SettingsError,
        "unknown key 'prot'",
        True,
    )


def test_what_is_waited_for_is_named_with_what_serve_says() -> None:
    waiting = said("no node has 1 GPU")
    assert unfinished(waiting, ["nacre-trainer"]) == ["trainer: no node has 1 GPU"]
    assert unfinished(waiting, ["nacre-api"]) == ["api: is being started"]
    runs = said("", status=DeploymentStatus.HEALTHY, app=ApplicationStatus.RUNNING)
    assert unfinished(runs, ["nacre-trainer"]) == []
