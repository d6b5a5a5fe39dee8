"""Tasks uploaded in a request: a task file with images in the system's own store, or an archive.

The process that answers must not be made to read files or to ask hosts of its own: paths lead into
the archive, and addresses to the object store that the system works on.
"""

import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import yaml

from adapters.errors import InputError, SettingsError
from cluster.config import Config
from cluster.stores.open import open_store
from cluster.stores.s3_settings import S3Settings
from workers.store import ObjectStore
from workers.tasks.task import Task, load_task

MAX_ARCHIVE_BYTES = 2 * 2**30
TASK_FILE = "task.yaml"


@contextmanager
def uploaded_task(
    content: bytes, archive: BinaryIO | None, config: Config, *, environment: dict[str, str]
) -> Iterator[Task]:
    """Give the task that a request describes; its images are there as long as this lasts.

    Args:
        content: The task file: YAML, or JSON, which is YAML too.
        archive: A tar, compressed or not, of the folder that the task file would lie in.
        config: Where the store is, and how the tasks of each adapter are learnt.
        environment: Has the credentials of the store.

    Raises:
        InputError: the task cannot be learnt as it is, or its sources lead elsewhere.
    """
    _check_sources(content)
    with tempfile.TemporaryDirectory(prefix="nacre-task-") as name:
        folder = Path(name).resolve()
        if archive is not None:
            _unpack(archive, folder)
        (folder / TASK_FILE).write_bytes(content)

        def opener(url: str) -> ObjectStore:
            return _own_server(url, config, environment)

        def method_of(adapter: str) -> str:
            return config.of_adapter(adapter).method

        task = load_task(folder / TASK_FILE, opener=opener, method_of=method_of)
        _check_inside(task, folder)
        yield task


def _check_sources(content: bytes) -> None:
    try:
        file = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"the task is not valid YAML or JSON: {error}") from error
    if not isinstance(file, dict):
        raise SettingsError(f"expected the keys of a task file, found {type(file).__name__}")
    for key in ("images", "held_out"):
        source = str(file.get(key) or "")
        path = PurePosixPath(source)
        if not source.startswith("s3://") and (path.is_absolute() or ".." in path.parts):
            raise InputError(
                f"expected {key!r} to be a path inside the archive, or an address s3://…, found "
                f"{source!r}",
                key=key,
            )


def _own_server(url: str, config: Config, environment: dict[str, str]) -> ObjectStore:
    """Return the store at `url`, which must be on the server that the system's own store is on."""
    if not (url.startswith("s3://") and config.store.startswith("s3://")):
        raise InputError(
            f"images at {url!r} cannot be read by this service; send them in an archive, or submit "
            "with `nacre submit`",
            url=url,
        )
    own = S3Settings.from_url(config.store, environment).endpoint
    if S3Settings.from_url(url, {"NACRE_S3_ENDPOINT": own, **environment}).endpoint != own:
        raise InputError(
            f"images at {url!r} are on another server than this service's store ({own}); copy them "
            "there, send them in an archive, or submit with `nacre submit`",
            url=url,
        )
    return open_store(url, environment={**environment, "NACRE_S3_ENDPOINT": own})


def _unpack(archive: BinaryIO, folder: Path) -> None:
    try:
        with tarfile.open(fileobj=archive, mode="r:*") as tar:
            size = 0
            for member in tar:
                size += member.size
                if size > MAX_ARCHIVE_BYTES:
                    raise InputError(
                        f"expected at most {MAX_ARCHIVE_BYTES} bytes in the archive, found more; "
                        "put the images into the object store and name their s3:// address"
                    )
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"the archive cannot be unpacked: {error}") from error


def _check_inside(task: Task, folder: Path) -> None:
    for images in (task.images, task.held_out):
        for reference in (image for group in images.values() for image in group):
            origin = reference.origin
            if "://" not in origin and not Path(origin).resolve().is_relative_to(folder):
                raise InputError(
                    f"expected all images inside the archive, found {origin!r}", path=origin
                )
