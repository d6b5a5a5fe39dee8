"""Tasks as they are sent: the task file, and a tar of the images that it names."""

import csv
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import IO

from adapters.errors import InputError, NacreError
from cluster.client.remote.drafts import drafted
from cluster.client.remote.progress import Watched
from cluster.wire.inspection import InspectedTask, retold
from cluster.wire.tasks import MAX_ARCHIVE_BYTES
from workers.formats.problems import raise_all
from workers.intake.drafting import Draft, columns_said
from workers.progress_callbacks import ProgressCallback
from workers.sources import ImageRef, read_source
from workers.sources.columns import NO_COLUMNS
from workers.sources.library_sets import is_library_set
from workers.sources.source import is_local, local_files
from workers.tasks.task_file import read_task_file

SOURCES = ("images", "held_out")
LIST = "list.csv"
_IN_TAR = re.compile(rf"(?<![\w./-])(?:{'|'.join(SOURCES)})/")
"""How the name of a file in the tar begins, in a sentence."""
LONGEST_NAME = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskToSend:
    """A task file that was read, and where what it names lies on this machine.

    Attributes:
        content: The task file as it is sent: with its adapter, and paths that lead into the tar.
        files: Files of this machine by their names in the tar; or what they hold.
    """

    content: bytes
    files: Mapping[str, "Path | ImageRef | bytes"]

    @contextmanager
    def packed(self, on_progress: ProgressCallback) -> Iterator[Mapping[str, object]]:
        """Give the parts of the form that is sent; its tar is on disk as long as this lasts.

        Args:
            on_progress: Called with mebibytes sent and mebibytes in all.

        Raises:
            InputError: a file cannot be read.
        """
        parts: dict[str, object] = {"task": ("task.yaml", self.content, "application/yaml")}
        with tempfile.TemporaryFile(prefix="nacre-send-") as tar:
            if self.files:
                self._write(tar)
                parts["archive"] = ("images.tar", Watched(tar, on_progress))
            try:
                yield {"files": parts}
            except NacreError as error:
                message = self._said(error.message)
                raise type(error).rebuild(message, error.fields) from error

    def said_here(self, found: InspectedTask, page: str) -> tuple[InspectedTask, str]:
        """Return what was found, and the page of it, with names of files as they are here."""
        named: set[str] = set()

        def said(text: str) -> str:
            if text in self.files:
                named.add(text)
            return self._said(text)

        document = InspectedTask.model_validate(retold(found.model_dump(mode="json"), said))
        for name in sorted(named, key=len, reverse=True):
            page = page.replace(escape(name), escape(self._called(name)))
        return document, page

    def _said(self, text: str) -> str:
        """Return a text in which files are called as they are here, and not as in the tar."""
        said, done = "", 0
        for found in _IN_TAR.finditer(text):
            start, longest = found.start(), min(len(text), found.start() + LONGEST_NAME)
            ends = range(longest, found.end(), -1) if start >= done else ()
            end = next((end for end in ends if text[start:end] in self.files), None)
            if end is not None:
                said += text[done:start] + self._called(text[start:end])
                done = end
        return said + text[done:]

    def _called(self, name: str) -> str:
        file = self.files.get(name)
        if isinstance(file, Path):
            return str(file)
        return file.origin if isinstance(file, ImageRef) else name

    def _write(self, target: IO[bytes]) -> None:
        with tarfile.open(fileobj=target, mode="w", dereference=True) as tar:
            for name, found in self.files.items():
                if not isinstance(found, Path):
                    _add(tar, name, found if isinstance(found, bytes) else found.read())
                    continue
                try:
                    tar.add(found, arcname=name, recursive=False)
                except OSError as error:
                    raise InputError(
                        f"expected a file at {found}, found that it cannot be read: "
                        f"{error.strerror or error}; mend it, or take it out",
                        path=str(found),
                    ) from error
        if target.tell() > MAX_ARCHIVE_BYTES:
            raise InputError(
                f"expected images of at most {MAX_ARCHIVE_BYTES} bytes, found {target.tell()} as "
                "a tar; divide the task, or name images in the system's own store (s3://…)"
            )


def _is_sent(source: str | None) -> bool:
    """Return whether the images of a source are sent along."""
    return source is not None and (is_local(source) or is_library_set(source))


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _as_list(source: str, key: str, folder: Path) -> dict[str, "Path | ImageRef | bytes"]:
    """Return the images of a data set of a library as files, with a list of their classes."""
    found = read_source(source, folder=folder, named=f"{key!r}", any_key=True).images
    refs = [(label, ref) for label, refs in found.items() for ref in refs]
    rows = io.StringIO(newline="")
    writer = csv.writer(rows)
    writer.writerow(("path", "label"))
    writer.writerows((f"{number}.img", label) for number, (label, _) in enumerate(refs))
    files = {f"{key}/{number}.img": ref for number, (_, ref) in enumerate(refs)}
    return {**files, f"{key}/{LIST}": rows.getvalue().encode()}


def task_to_send(meant: Draft | Path | str, *, adapter: str | None, default: str) -> TaskToSend:
    """Return what a task file or a bare source describes, ready to be sent; no image is read.

    Args:
        meant: The task file, or a source of images without one.
        adapter: The adapter to grow, instead of the file's.
        default: The adapter to grow where neither names one.

    Raises:
        InputError: the file, or a source of images that it names, is missing or wrong.
    """
    found = meant if isinstance(meant, Draft) else drafted(meant)
    file, content = (found, None) if isinstance(found, Path) else (found.path, found.content)
    reading = read_task_file(file, content)
    findings: list[InputError] = list(reading.findings)
    values = dict(reading.values)
    files: dict[str, Path | ImageRef | bytes] = {}
    columns = values.get("columns", NO_COLUMNS)
    for key in (key for key in SOURCES if _is_sent(values.get(key))):
        try:
            if is_library_set(values[key]):
                files |= _as_list(values[key], key, file.parent)
                values[key] = f"{key}/{LIST}"
                continue
            named = f"{key!r} in {file}, relative to the task file"
            sent = local_files(values[key], folder=file.parent, named=named, columns=columns)
        except InputError as error:
            findings.append(error)
            continue
        values[key] = sent.below(key)
        files |= {f"{key}/{name}": sent.folder / name for name in sent.names}
    raise_all(findings)
    values["adapter"] = adapter or values.get("adapter") or default
    values["columns"] = columns_said(columns)
    return TaskToSend(content=json.dumps(values).encode(), files=files)
