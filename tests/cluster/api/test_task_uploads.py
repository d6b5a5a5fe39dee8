"""Tasks over HTTP: what is taken in, and what must not be reached through them."""

import gzip
import io
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from adapters.errors import InputError, SettingsError, UnavailableError
from cluster.api.places import Places
from cluster.api.task_handlers import TaskHandlers
from cluster.api.task_uploads import uploaded_task
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.config import Config
from tests.support.scenes.tickets import set_ticket
from workers.queue.ticket import Stage
from workers.store import FileStore

WriteTask = Callable[..., Path]
ANNA = Requester(name="anna")


def archive_of(folder: Path, *, mode: str = "w:gz") -> BinaryIO:
    """Return a tar of what lies in `folder`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)
    buffer.seek(0)
    return buffer


@pytest.fixture
def handlers(tmp_path: Path) -> TaskHandlers:
    config = Config(store=f"file://{tmp_path}/store")
    return TaskHandlers(Client(config), Places.of(config))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_task_with_its_images_in_an_archive_is_accepted(
    handlers: TaskHandlers, write_task: WriteTask, mode: str
) -> None:
    task = write_task()
    archive = archive_of(task.parent / "images" / "..", mode=mode)
    accepted = handlers.submit(task.read_bytes(), archive, by=ANNA)
    assert (accepted.is_new, accepted.submission.stage) == (True, "accepted")
    assert "test split" in accepted.notes[0]
    again = handlers.submit(task.read_bytes(), archive_of(task.parent, mode=mode), by=ANNA)
    assert (again.is_new, again.submission) == (False, accepted.submission)
    assert handlers.tasks().submissions[0].submission_id == accepted.submission.submission_id


def test_what_lies_in_the_archive_besides_is_counted(
    handlers: TaskHandlers, write_task: WriteTask
) -> None:
    task = write_task(images=4)
    (task.parent / "images/red/drawing.svg").write_text("<svg/>")
    (task.parent / "images/.DS_Store").write_text("x")
    copy = task.parent / "images/red/copy.png"
    copy.write_bytes((task.parent / "images/red/0.png").read_bytes())
    accepted = handlers.submit(task.read_bytes(), archive_of(task.parent), by=ANNA)
    count = accepted.sources["images"]
    assert (count.things, count.seen, count.used, count.copies) == ("files", 11, 8, 1)
    assert [(each.pictures, each.kinds) for each in count.passed_over] == [
        (True, {"SVG": 1}),
        (False, {".DS_Store": 1}),
    ]
    assert "red/drawing.svg" in accepted.notes[0]
    # as it was sent, and not where the service has put it
    assert ": images/red/copy.png is the same image as images/red/0.png" in accepted.notes[1]


def test_a_task_is_found_followed_and_taken_back(
    handlers: TaskHandlers, write_task: WriteTask, tmp_path: Path
) -> None:
    task = write_task()
    accepted = handlers.submit(task.read_bytes(), archive_of(task.parent), by=ANNA)
    name = accepted.submission.submission_id
    assert handlers.task("colors").submission_id == handlers.task(name).submission_id == name
    assert handlers.events("colors") == []
    assert handlers.cancel(name, by=ANNA).stage == "accepted"  # nobody coordinates; it is asked for
    set_ticket(FileStore(tmp_path / "store"), name, stage=Stage.CANCELLED)
    assert handlers.task(name).stage == "cancelled"
    assert handlers.cancel(name, by=ANNA).outcome == "done"  # however often it is asked for
    assert handlers.retry(name, by=ANNA).submission_id == name
    assert not handlers.tasks().coordinated


ELSEWHERE = [
    "images: /etc",
    "images: ../outside",
    "{images: images, held_out: /etc}",
    # another host, asked with the service's own credentials
    "images: s3://bucket/train?endpoint=https://evil.example.org",
    "images: file:///etc",
    "images: FILE:///etc",
    "images: file:relative",
    "images: memory://x",
    "images: http://127.0.0.1:9/x",
    "images: a/../../etc",
    "images: file:///proc/self/environ",
]


@pytest.mark.parametrize("source", ELSEWHERE)
def test_sources_lead_nowhere_but_into_the_archive(write_task: WriteTask, source: str) -> None:
    task = write_task()
    keys = source.strip("{}").replace(", ", "\n")
    content = f"name: colors\n{keys}\n".encode()
    config = Config(store="s3://own/prefix?endpoint=https://own.example.org")
    keys_of_store = {"NACRE_S3_ACCESS_KEY": "key", "NACRE_S3_SECRET_KEY": "secret"}
    with (
        pytest.raises(InputError),
        uploaded_task(content, archive_of(task.parent), config, environment=keys_of_store),
    ):
        pass


def test_a_list_in_the_archive_names_no_files_of_the_machine(
    handlers: TaskHandlers, write_task: WriteTask, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.png"
    task = write_task()
    secret.write_bytes((task.parent / "images/red/0.png").read_bytes())
    (task.parent / "list.csv").write_text(f"path,label\n{secret},red\nimages/blue/0.png,blue\n")
    with pytest.raises(InputError, match=r"inside the archive, found|outside"):
        handlers.submit(b"name: colors\nimages: list.csv\n", archive_of(task.parent), by=ANNA)


@pytest.mark.parametrize(
    "source", ["file:///proc/self/environ", "file://{folder}", "file://{folder}/*.txt"]
)
def test_nothing_of_the_machine_is_read_and_no_error_quotes_it(
    handlers: TaskHandlers, tmp_path: Path, source: str
) -> None:
    (tmp_path / "secret.txt").write_text("path,label\nthis must never come back,x\n")
    content = f"name: colors\nimages: {source.format(folder=tmp_path)!r}\n".encode()
    with pytest.raises(InputError) as caught:
        handlers.submit(content, None, by=ANNA)
    assert "never come back" not in caught.value.message


def damages() -> list[tuple[str, bytes]]:
    """Return archives that the standard library takes for smaller ones, or reads without end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(6):
            member = tarfile.TarInfo(f"images/red/{number}.png")
            member.size = 600
            tar.addfile(member, io.BytesIO(bytes([number]) * 600))
    whole, third = buffer.getvalue(), 2 * 1536
    flipped = bytearray(whole)
    flipped[third + 5] ^= 1
    packed = bytearray(gzip.compress(whole))
    packed[-6] ^= 1  # of its checksum
    pax = tarfile.TarInfo("pax")
    pax.type, pax.size = tarfile.XHDTYPE, 64 * 2**20
    bomb = pax.tobuf(tarfile.USTAR_FORMAT) + bytes(64 * 2**20) + bytes(1024)
    return [
        ("cut at a member", whole[:third]),
        ("cut in a header", whole[: third + 100]),
        ("a header flipped", bytes(flipped)),
        ("cut, then packed", gzip.compress(whole[:third])),
        ("another checksum", bytes(packed)),
        ("a header of 64 MiB", gzip.compress(bomb)),
    ]


DAMAGED = dict(damages())


@pytest.mark.parametrize("what", DAMAGED)
def test_half_an_archive_is_no_task(handlers: TaskHandlers, what: str) -> None:
    content = DAMAGED[what]
    with pytest.raises(InputError, match="archive cannot be unpacked"):
        handlers.submit(b"name: colors\nimages: images\n", io.BytesIO(content), by=ANNA)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_an_archive_are_refused_by_name(
    handlers: TaskHandlers, kind: bytes
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("images/red/0.png")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
    buffer.seek(0)
    with pytest.raises(InputError, match=r"'images/red/0.png', which is a link or a device"):
        handlers.submit(b"name: colors\nimages: images\n", buffer, by=ANNA)


def test_an_archive_writes_nothing_outside_its_folder(
    handlers: TaskHandlers, tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("../../escaped")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    buffer.seek(0)
    with pytest.raises(InputError, match="archive cannot be unpacked"):
        handlers.submit(b"name: colors\nimages: images\n", buffer, by=ANNA)
    assert not list(tmp_path.rglob("escaped"))


DAMAGES = [
    (b"", "expected the key .name. in task.yaml"),
    (b"[1, 2]", "expected keys and values in the task"),
    (b"name: [", "not valid YAML"),
    (b"name: \x80", "not valid YAML"),
]


@pytest.mark.parametrize(("content", "sentence"), DAMAGES)
def test_a_task_file_that_is_none_is_refused(
    handlers: TaskHandlers, content: bytes, sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        handlers.submit(content, None, by=ANNA)


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"\x1f\x8b broken"])
def test_an_archive_that_is_none_is_refused(handlers: TaskHandlers, content: bytes) -> None:
    with pytest.raises(InputError, match="archive cannot be unpacked"):
        handlers.submit(b"name: colors\nimages: images\n", io.BytesIO(content), by=ANNA)


def test_a_task_that_nobody_waits_for_is_read_no_further_and_not_accepted(
    handlers: TaskHandlers, write_task: WriteTask
) -> None:
    task, left = write_task(), threading.Event()
    left.set()
    with pytest.raises(UnavailableError, match="has left; nothing was accepted"):
        handlers.submit(task.read_bytes(), archive_of(task.parent), by=ANNA, left=left)
    assert handlers.tasks().submissions == []


@pytest.mark.parametrize("after", ["the first member", "all members"])
def test_a_source_that_nobody_waits_for_is_unpacked_and_looked_through_no_further(
    tmp_path: Path, write_task: WriteTask, after: str
) -> None:
    task = write_task()
    for number in range(1200):
        (task.parent / "images" / "red" / f"{number}.txt").touch()
    archive = archive_of(task.parent)
    with tarfile.open(fileobj=archive) as tar:
        members = len(tar.getmembers())
    archive.seek(0)
    seen: list[int] = []

    def on_seen() -> None:
        seen.append(1)
        if after == "the first member" or len(seen) > members:
            raise UnavailableError("nobody waits")

    with (
        pytest.raises(UnavailableError, match="nobody waits"),
        uploaded_task(
            task.read_bytes(),
            archive,
            Config(store=f"file://{tmp_path}/store"),
            environment={},
            on_seen=on_seen,
        ),
    ):
        pass
    assert len(seen) == (1 if after == "the first member" else members + 1)
