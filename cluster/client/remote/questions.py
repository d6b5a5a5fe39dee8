"""Requests to the HTTP API as values, the same for the blocking and the asynchronous client."""

from collections.abc import Sequence
from pathlib import Path

from adapters.contract.thresholds import check_rate
from adapters.errors import NotFoundError, printable
from cluster.client.remote.call import Call, path_to
from cluster.wire.health import Ready, Status
from cluster.wire.predictions import EmbedAnswer, PredictAnswer

Images = Sequence[Path | str | bytes]


def predicting(
    images: Images,
    *,
    adapter: str,
    version: int | str | None,
    top_k: int,
    tasks: Sequence[str],
    candidate_labels: Sequence[str],
    reject: float | None,
) -> Call[PredictAnswer]:
    """Return the call that asks what images show; see `Client.predict`.

    Raises:
        InputError: no rate of false alarms, or no text.
        NotFoundError: there is no such file, or it cannot be read.
    """
    if reject is not None:
        check_rate(reject)
    fields: dict[str, object] = {"top_k": str(top_k)}
    fields |= {"version": str(version)} if version is not None else {}
    fields |= {"tasks": list(tasks)} if tasks else {}
    fields |= {"candidate_labels": list(candidate_labels)} if candidate_labels else {}
    fields |= {"reject": repr(float(reject))} if reject is not None else {}
    return Call(
        kind=PredictAnswer,
        verb="POST",
        path=path_to("adapters", adapter, "predict"),
        arguments={"files": _files(images), "data": fields},
    )


def embedding(images: Images) -> Call[EmbedAnswer]:
    """Return the call that asks for the features of images."""
    return Call(
        kind=EmbedAnswer, verb="POST", path="/v1/embed", arguments={"files": _files(images)}
    )


def readiness() -> Call[Ready]:
    """Return the call that asks what is answered with; it is sent once."""
    return Call(kind=Ready, verb="GET", path="/v1/health/ready", arguments={}, patient=False)


def standing() -> Call[Status]:
    """Return the call that asks what is wrong, and for how long; it is sent once."""
    return Call(kind=Status, verb="GET", path="/v1/status", arguments={}, patient=False)


def _files(images: Images) -> list[tuple[str, tuple[str, bytes]]]:
    return [("images", _file(index, image)) for index, image in enumerate(images)]


def _file(index: int, image: Path | str | bytes) -> tuple[str, bytes]:
    if isinstance(image, bytes):
        return f"images[{index}]", image
    path = Path(image)
    if not path.is_file():
        found = "a folder; name the images in it" if path.is_dir() else "none"
        raise NotFoundError(f"expected an image at {path}, found {found}", path=str(path))
    try:
        return printable(path.name), path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotFoundError(
            f"expected an image at {path}, found a file that cannot be read ({reason})",
            path=str(path),
        ) from error
