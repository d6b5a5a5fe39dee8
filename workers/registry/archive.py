"""Export and import of a version as one tar file that any tar program can list and unpack.

version.json          the manifest as it was published
accuracies.json       what was measured of it; only where something was
answers.json.gz       its answers about test images; only where they were kept
records/<sha256>      the records and the shared state, each under its digest
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from adapters.errors import (
    CorruptionError,
    DamagedFileError,
    InputError,
    NotFoundError,
    SettingsError,
)
from workers.progress_callbacks import ProgressCallback
from workers.registry.adapter import RegisteredAdapter
from workers.registry.archive_reading import Archive, Packed, opened_archive
from workers.registry.commit import AddRecord, Commit, SetShared, Update
from workers.registry.documents.accuracy import accuracies_from_bytes, accuracies_to_bytes
from workers.registry.documents.answer_sheet import sheet_from_bytes, sheet_to_bytes
from workers.registry.documents.history import Action, Author
from workers.registry.documents.layout import HEAD, check_alias
from workers.registry.documents.manifest import Manifest, manifest_from_bytes
from workers.registry.documents.purged import purged_versions
from workers.registry.documents.refs import Refs
from workers.registry.purged_records import check_brings_nothing_back
from workers.registry.reach import published_versions
from workers.registry.reader import AdapterReader
from workers.registry.requirements import HeadIs

_MANIFEST = "version.json"
_ACCURACIES = "accuracies.json"
_ANSWERS = "answers.json.gz"


def export_version(
    reader: AdapterReader,
    version: int | str,
    path: Path,
    *,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Write a version to the file `path`, which must not exist, and return its manifest.

    The same version gives the same bytes every time. Nothing is left behind on failure.

    Args:
        reader: The adapter.
        version: An alias or a number.
        path: The file.
        progress: Called with tasks written so far, and tasks to write.

    Raises:
        InputError: The file exists.
        NotFoundError: There is no such version, or one of its tasks was purged.
    """
    manifest = reader.manifest(version)
    with new_file(path) as file, tarfile.open(fileobj=file, mode="w") as archive:
        _add(archive, _MANIFEST, manifest.to_bytes())
        accuracies = reader.accuracies(manifest.number)
        if accuracies:
            _add(archive, _ACCURACIES, accuracies_to_bytes(accuracies))
        kept = reader.answer_sheet(manifest.number)
        sheet = sheet_to_bytes(kept) if kept else None
        if sheet is not None:
            _add(archive, _ANSWERS, sheet)
        shared = reader.shared_bytes(manifest)
        if manifest.shared and shared is not None:
            _add(archive, f"records/{manifest.shared.sha256}", shared)
        for number, task in enumerate(manifest.tasks, 1):
            _add(archive, f"records/{task.record.sha256}", reader.record_bytes(task))
            if progress:
                progress(number, len(manifest.tasks))
    return manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What an import did.

    Attributes:
        manifest: Of the version that has the content of the file.
        is_new: Whether it was published now; otherwise it was there already.
        aliases: Those that were asked for and point to it now. Of a version that was there already
            these are not those that point elsewhere: they are left where they are.
    """

    manifest: Manifest
    is_new: bool
    aliases: tuple[str, ...]


def import_version(
    adapter: RegisteredAdapter,
    path: Path,
    *,
    by: Author,
    aliases: tuple[str, ...] = (HEAD,),
    method: str | None = None,
    create: Callable[[], object] | None = None,
    purged: bool = False,
) -> Imported:
    """Publish the version in the file `path` as a new version, unless it is there already.

    It has no parent. All bytes are checked before anything is written.

    Args:
        adapter: The adapter; its encoder must be the one of the file.
        path: A file written by `export_version`.
        by: Who does it, why and when.
        aliases: These point to the new version. `head` only where the adapter is empty: its tasks
            would silently disappear from what the next task builds on.
        method: By which tasks of the adapter are learnt; None where nobody knows.
        create: Makes the adapter where it is missing; called when nothing speaks against the
            import, so that a refused one leaves nothing behind. None where it must be there.
        purged: Whether it may bring back what was purged of the store.

    Raises:
        InputError: It is no such file, `head` exists already, or it holds what was purged.
        NotFoundError: There is no such adapter, and it is not to be made.
        SettingsError: No task of the adapter could be learnt on it: it is of another method.
        DamagedFileError: The file is damaged.
        EncoderMismatchError: The adapter was learnt with another encoder.
    """
    with ExitStack() as kept:
        with _of_the_file():
            archive = kept.enter_context(opened_archive(path))
            manifest = manifest_from_bytes(archive.read(_MANIFEST), f"{_MANIFEST} in {path}")
            commit = _commit(archive, manifest, aliases)
            for payload in commit.payloads:
                payload.read()
        for alias in aliases:
            check_alias(alias)
        refs = _refs(adapter, may_be_missing=create is not None)
        _check_method(adapter, refs, manifest, aliases, method)
        there = _same_content(adapter, refs, manifest)
        if there is not None:
            moved = adapter.name_version(there.number, aliases, by=by)
            return Imported(manifest=there, is_new=False, aliases=moved)
        if HEAD in aliases and refs.find(HEAD):
            raise InputError(
                f"adapter {adapter.name!r} has versions already: import under another alias, then "
                "roll back to that alias to build on it",
                adapter=adapter.name,
            )
        if not purged:
            check_brings_nothing_back(adapter.objects.store, manifest, what=str(path))
        if create is not None:
            create()
        return Imported(manifest=adapter.commit(commit, by=by), is_new=True, aliases=aliases)


@contextmanager
def _of_the_file() -> Iterator[None]:
    """Have what is damaged told as that of the file that was given: the store is whole."""
    try:
        yield
    except CorruptionError as error:
        raise DamagedFileError.rebuild(error.message, error.fields) from error


def _refs(adapter: RegisteredAdapter, *, may_be_missing: bool) -> Refs:
    """Return the refs of an adapter; of one that is missing those that it would begin with."""
    try:
        return adapter.refs()
    except NotFoundError:
        if may_be_missing:
            return Refs(adapter=adapter.name, serial=1, write_id="")
        raise


def _commit(archive: Archive, manifest: Manifest, aliases: tuple[str, ...]) -> Commit:
    measured = archive.read(_ACCURACIES) if _ACCURACIES in archive.members else None
    answers = archive.read(_ANSWERS) if _ANSWERS in archive.members else None
    return Commit(
        updates=_updates(archive, manifest),
        encoder=manifest.encoder,
        method=manifest.method,
        settings=manifest.settings,
        provenance=manifest.provenance,
        accuracies=accuracies_from_bytes(measured, str(archive.path)) if measured else (),
        answers=sheet_from_bytes(answers, f"{_ANSWERS} in {archive.path}") if answers else None,
        base=None,
        aliases=aliases,
        requirements=(HeadIs(None),) if HEAD in aliases else (),
        action=Action.IMPORT,
    )


def _check_method(
    adapter: RegisteredAdapter,
    refs: Refs,
    manifest: Manifest,
    aliases: tuple[str, ...],
    method: str | None,
) -> None:
    """Raise SettingsError where the version is of another method than the adapter's tasks."""
    head = refs.find(HEAD)
    built_on = adapter.objects.manifest(head.manifest) if head else None
    if built_on and built_on.tasks:
        expected = built_on.method
        remedy = "import it into another adapter (`--adapter NAME`)"
    elif HEAD in aliases and not head and method is not None:
        expected = method
        remedy = (
            f"say `adapters: {{{adapter.name}: {{method: {manifest.method}}}}}` in the "
            "configuration first, or import it under another alias"
        )
    else:
        return
    if manifest.tasks and manifest.method != expected:
        raise SettingsError(
            f"the version in the file was learnt with {manifest.method!r}, and tasks of adapter "
            f"{adapter.name!r} are learnt with {expected!r}: no task could be learnt on it; "
            f"{remedy}",
            adapter=adapter.name,
            expected=expected,
            found=manifest.method,
        )


def _same_content(adapter: RegisteredAdapter, refs: Refs, manifest: Manifest) -> Manifest | None:
    """Return the latest version that holds the same and can be served; None where none does."""
    buried = purged_versions(adapter.tombstones(refs))
    wanted = _content(manifest)
    for found in published_versions(adapter, refs):
        if found.number not in buried and _content(found) == wanted:
            return found
    return None


def _content(manifest: Manifest) -> tuple[object, ...]:
    """Return what an export says, and an import keeps, of a version."""
    tasks = [(task.task, task.submission, task.record.ref, task.classes) for task in manifest.tasks]
    shared = manifest.shared and manifest.shared.ref
    learnt_by = manifest.encoder, manifest.method, dict(manifest.settings)
    return tasks, shared, learnt_by, manifest.provenance


def _updates(archive: Archive, manifest: Manifest) -> tuple[Update, ...]:
    tasks = (
        AddRecord(
            task=task.task,
            submission=task.submission,
            record=Packed(archive, task.record.ref),
            classes=task.classes,
        )
        for task in manifest.tasks
    )
    shared = Packed(archive, manifest.shared.ref) if manifest.shared else None
    return (*tasks, SetShared(state=shared))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Give the new file `path`, of which nothing is left where something fails.

    Raises:
        InputError: there is one.
    """
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise InputError(f"{path} exists already; choose another name", path=str(path)) from error
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
