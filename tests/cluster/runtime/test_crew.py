"""What becomes of errors of workers on their way to the coordinator."""

import asyncio
from typing import Any

import pytest
from ray.exceptions import RayTaskError

from adapters.errors import CorruptionError, UnavailableError
from cluster.runtime import roles
from cluster.runtime.crew import _result


def answered(error: Exception) -> None:
    """Have a call of the coordinator end with an error of a worker, as Ray hands it over."""

    async def call() -> Any:
        raise RayTaskError("train", "the traceback", error).as_instanceof_cause()

    async def main() -> None:
        await _result(call())

    asyncio.run(main())


def calling_wrongly(role: Any, method: str, *arguments: object) -> Exception:
    """Return what Python says of a call that a role has no place for."""
    with pytest.raises(TypeError) as caught:
        getattr(role.func_or_class, method)(object(), *arguments)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        calling_wrongly(roles.TrainerRole, "train", *range(5)),
        calling_wrongly(roles.TrainerRole, "train"),
        calling_wrongly(roles.ShardEncoderRole, "embed", *range(9)),
        calling_wrongly(roles.PublisherRole, "publish", *range(9)),
        ModuleNotFoundError("No module named 'workers.logs.errand'"),
        AttributeError("Can't get attribute 'Errand' on <module 'workers.logs.errand' from '/x'>"),
    ],
)
def test_a_worker_of_another_release_is_asked_again_and_no_attempt_is_used_up(
    error: Exception,
) -> None:
    with pytest.raises(UnavailableError, match="another release"):
        answered(error)


@pytest.mark.parametrize(
    "error",
    [
        TypeError("unsupported operand type(s) for +: 'int' and 'str'"),
        TypeError("Learner.step() takes 1 positional argument but 2 were given"),
        ModuleNotFoundError("No module named 'a_library_of_somebody'"),
        AttributeError("'NoneType' object has no attribute 'x'"),
    ],
)
def test_a_fault_of_the_work_stays_one(error: Exception) -> None:
    with pytest.raises(type(error)):
        answered(error)


def test_an_error_that_nacre_knows_is_handed_on_as_it_is() -> None:
    with pytest.raises(CorruptionError, match="damaged"):
        answered(CorruptionError("damaged", key="a"))
