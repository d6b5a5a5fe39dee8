"""Tasks uploaded in a request: a task file with images in the system's own store, or an archive.

The process that answers must not be made to read files or to ask hosts of its own: paths lead into
the archive, and addresses to the object store that the system works on.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from adapters.errors import InputError, NacreError, SettingsError
from cluster.api.places import Places, of_upload
from cluster.config import Config
from cluster.stores.open import open_store
from cluster.stores.s3_settings import S3Settings
from cluster.wire.tasks import MAX_ARCHIVE_BYTES
from workers.formats.decompressed import decompressed
from workers.formats.problems import raise_all
from workers.formats.tar_headers import Kind, TarLimits
from workers.formats.tar_members import PIECE_BYTES, TarMember, bounded_members
from workers.formats.yaml_scalars import cut
from workers.formats.yaml_settings import partly
from workers.sources.places.survey import unwatched
from workers.store import ObjectStore
from workers.tasks.task import Task, TaskFile, load_task

NAME_BYTES, DEPTH = 255, 32
"""Of names in an archive and in paths; Linux keeps no longer ones."""
LIMITS = TarLimits(members=200_000, size_bytes=MAX_ARCHIVE_BYTES)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PATH = re.compile(rb"\s*[^\s:]*([/\\]|\.ya?ml)[^\s:]*\s*")
"""Of a body that names a task file where it should be one."""
TASK_FILE = "task.yaml"


@contextmanager
def uploaded_task(
    content: bytes,
    archive: BinaryIO | None,
    config: Config,
    *,
    environment: dict[str, str],
    adapter: str | None = None,
    on_seen: Callable[[], None] = unwatched,
) -> Iterator[tuple[Task, Places]]:
    """Give the task that a request describes, and what its files are called to whoever sent it.

    Its images are there as long as this lasts.

    Args:
        content: The task file: YAML, or JSON, which is YAML too.
        archive: A tar, compressed or not, of the folder that the task file would lie in.
        config: Where the store is, and how the tasks of each adapter are learnt.
        environment: Has the credentials of the store.
        adapter: The adapter to grow, instead of the task file's.
        on_seen: Called again and again while its archive is unpacked and its sources are looked
            through; raises what should stop the work.

    Raises:
        InputError: the task cannot be learnt as it is, or its sources lead elsewhere.
    """
    with unpacked_task(content, archive, on_seen=on_seen) as (folder, places):
        task = task_in(folder, config, environment=environment, adapter=adapter, on_seen=on_seen)
        yield task, places


@contextmanager
def unpacked_task(
    content: bytes, archive: BinaryIO | None, *, on_seen: Callable[[], None] = unwatched
) -> Iterator[tuple[Path, Places]]:
    """Give the folder of the task that a request describes, and what its files are called.

    Errors within this are those of whoever sent it; see `uploaded_task`.
    """
    _check_sources(content, has_archive=archive is not None)
    with tempfile.TemporaryDirectory(prefix="nacre-task-") as name:
        folder = Path(name).resolve()
        places = of_upload(folder, name)
        try:
            if archive is not None:
                _unpack(archive, folder, on_seen)
            (folder / TASK_FILE).write_bytes(content)
            yield folder, places
        except NacreError as error:
            raise places.error(error) from error


def task_in(
    folder: Path,
    config: Config,
    *,
    environment: dict[str, str],
    adapter: str | None = None,
    on_seen: Callable[[], None] = unwatched,
) -> Task:
    """Return the task that was unpacked into a folder; see `uploaded_task`."""

    def opener(url: str) -> ObjectStore:
        return _own_server(url, config, environment)

    def method_of(named: str) -> str:
        return config.of_adapter(adapter or named).method

    return load_task(
        folder / TASK_FILE,
        opener=opener,
        adapter=config.adapter,
        method_of=method_of,
        within=folder,
        on_seen=on_seen,
    )


def _check_sources(content: bytes, *, has_archive: bool) -> None:
    """Raise InputError where a source leads out of the archive, with all that the file has wrong.

    What else is wrong with the file is told later, together with what is wrong with its sources.
    """
    if _PATH.fullmatch(content):
        raise InputError(
            f"expected a task file, found {cut(content.decode(errors='replace'))!r}; files of this "
            "service's machine are not looked for: send the file itself, as `curl --data-binary "
            "@task.yaml` does"
        )
    reading = partly(TaskFile, content, "the task")
    sources = ((key, reading.values.get(key)) for key in ("images", "held_out"))
    findings = [
        wrong
        for key, source in sources
        if source and (wrong := _elsewhere(key, source, has_archive=has_archive))
    ]
    if findings:
        raise_all([*reading.findings, *findings])


def _elsewhere(key: str, source: str, *, has_archive: bool) -> InputError | None:
    """Return why a source may not be read; None where it may."""
    if source.startswith("s3://"):
        return None
    path = PurePosixPath(source)
    _check_length(path, f"the path {cut(source)!r} of {key!r}")
    if not (_SCHEME.match(source) or path.is_absolute() or ".." in path.parts):
        return None if has_archive else _without_archive(key, source)
    return InputError(
        f"expected {key!r} to be a path inside the archive, or an address s3://…, found "
        f"{cut(source)!r}, where this service reads nothing; put the images into the archive and "
        "name them from its top, as in train, or submit with `nacre submit`",
        key=key,
    )


def _without_archive(key: str, source: str) -> InputError:
    return InputError(
        f"expected an archive with the images of {key!r}, at {cut(source)!r} in it, found a task "
        "file alone; send a tar of the task's folder as the form's file `archive` beside "
        "`task` (`curl -F task=@task.yaml -F archive=@images.tar`), or name an address s3://…",
        key=key,
    )


def _check_length(path: PurePosixPath, what: str) -> None:
    """Raise InputError where no system of files could keep what is called so."""
    names = [len(os.fsencode(part)) for part in path.parts]
    if max(names, default=0) > NAME_BYTES or len(names) > DEPTH:
        raise InputError(
            f"expected names of at most {NAME_BYTES} bytes, at most {DEPTH} inside each other, "
            f"found {what} with {len(names)}, the longest of {max(names)} bytes; use shorter ones"
        )


def _own_server(url: str, config: Config, environment: dict[str, str]) -> ObjectStore:
    """Return the store at `url`, which must be on the server that the system's own store is on."""
    own = own_endpoint(url, config, environment)
    return open_store(url, environment={**environment, "NACRE_S3_ENDPOINT": own})


def own_endpoint(url: str, config: Config, environment: dict[str, str]) -> str:
    """Return the server of the system's own store, on which `url` must be.

    Raises:
        InputError: it is elsewhere, where this service reads nothing.
    """
    if not (url.startswith("s3://") and config.store.startswith("s3://")):
        raise InputError(
            f"images at {url!r} cannot be read by this service; send them in an archive, or submit "
            "with `nacre submit`",
            url=url,
        )
    if "credentials=" in url:
        raise InputError(
            f"images at {url!r} name credentials, which are those of this service and not for "
            "whoever sends a task; leave `credentials=` out, or submit with `nacre submit`",
            url=url,
        )
    own = S3Settings.from_url(config.store, environment).endpoint
    if S3Settings.from_url(url, {"NACRE_S3_ENDPOINT": own, **environment}).endpoint != own:
        raise InputError(
            f"images at {url!r} are on another server than this service's store; copy them there, "
            "send them in an archive, or submit with `nacre submit`",
            url=url,
        )
    return own


def _unpack(archive: BinaryIO, folder: Path, on_seen: Callable[[], None]) -> None:
    """Write the regular files of `archive` below `folder`; nothing else is written or followed.

    An archive that is damaged or cut off is refused whole: half of one is another task.
    """
    try:
        for member in bounded_members(decompressed(archive), limits=LIMITS):
            on_seen()
            _write(member, folder)
    except (SettingsError, OSError) as error:
        reason = error.message if isinstance(error, SettingsError) else error.strerror
        raise InputError(
            f"the archive cannot be unpacked: {reason}; send a tar of the task's folder (`tar cf "
            "images.tar -C FOLDER .`); large sets of images belong into the object store, named by "
            "their s3:// address"
        ) from error


def _write(member: TarMember, folder: Path) -> None:
    path = PurePosixPath(member.name)
    if member.kind is Kind.FOLDER:
        return
    if member.kind is not Kind.FILE:
        raise InputError(
            f"expected files and folders in the archive, found {member.name!r}, which is a link or "
            "a device; put what it leads to into the archive (tar -h)",
            member=member.name,
        )
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == TASK_FILE:
        if path.parts == (TASK_FILE,):
            return  # the task file that was sent beside the archive counts
        raise InputError(
            f"the archive cannot be unpacked: {member.name!r} leads outside of it; name its files "
            "relative to the folder of the task",
            member=member.name,
        )
    _check_length(path, f"the member {cut(member.name)!r}")
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            while content := member.read(PIECE_BYTES):
                file.write(content)
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(
            f"the archive cannot be unpacked: {member.name!r} is in it twice, or both as a file "
            "and as a folder; leave one out",
            member=member.name,
        ) from error
