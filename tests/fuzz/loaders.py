"""The table of loaders: everything that makes something of bytes that others have written."""

import asyncio
import gzip
import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import torch
from hypothesis import strategies as st
from minio.credentials.credentials import Credentials
from minio.credentials.providers import Provider, _parse_credentials
from starlette.requests import Request
from starlette.types import Message

from adapters.contract.adapter_state import decode_shared
from adapters.contract.records import decode_record
from adapters.errors import SettingsError
from cluster.api.uploads import received_question
from cluster.config import Config
from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.credentials.files import ProfileProvider
from cluster.stores.credentials.renewed import Renewed
from cluster.stores.credentials.sources import Source
from cluster.wire.facts import worker_log_document
from tests.fuzz.hostile import damaged, json_of, tampered
from tests.support.fakes.expiring_s3 import sts_answer
from tests.support.scenes.pictures import exif_block, jpeg_segment, jpeg_with, of_every_format
from tests.support.scenes.registry import (
    ANNA,
    adapter,
    answers_about,
    learn,
    record_of,
    shared_of,
)
from tests.support.scenes.submissions import submission
from tests.support.scenes.uploads import PICTURES, packed, picture
from tests.support.scenes.webhooks import webhook
from tests.support.scenes.work_logs import wrote
from workers.access.audit import AuditEntry
from workers.access.audit import entry_from_bytes as audit_from_bytes
from workers.access.audit import write_entry as write_audit
from workers.access.kept_sessions import KEY as SESSIONS
from workers.access.kept_sessions import keep_session
from workers.access.kept_tokens import KEY as TOKENS
from workers.access.kept_tokens import create_token, revoke_token
from workers.access.roles import AccessRole
from workers.access.sessions import session_of_subject, sessions_from_bytes
from workers.access.subjects import Subject
from workers.access.tokens import tokens_from_bytes
from workers.encoding.blocks import named_blob
from workers.encoding.known_encoders import encoder_key, read_encoder
from workers.formats.decompressed import decompressed
from workers.formats.documents import seal
from workers.formats.tar_members import bounded_members
from workers.formats.yaml_settings import settings_of
from workers.images.decode import decode_image
from workers.images.files.formats import format_of
from workers.learning.kept_answers import BestAnswers, KeptAnswers, answers_from_bytes
from workers.logs.work_log import folder_of, read_work_logs
from workers.queue import inbox
from workers.queue.events import Accepted, Cancel
from workers.queue.journal import JournalEntry, read_journal, write_entry
from workers.queue.leadership import Leadership, read_leadership
from workers.queue.ledger import outcome_bytes, page_key, read_outcome, read_page, state_key
from workers.queue.progress import ticket_of
from workers.queue.ticket import Stage
from workers.registry import drop, purge
from workers.registry.documents.accuracy import accuracies_from_bytes
from workers.registry.documents.answer_sheet import sheet_from_bytes, sheet_to_bytes
from workers.registry.documents.history import entry_from_bytes
from workers.registry.documents.manifest import manifest_from_bytes
from workers.registry.documents.purged import tombstones_from_bytes
from workers.registry.documents.refs import refs_from_bytes
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import submission_from_bytes
from workers.tasks.task import TaskFile, load_task
from workers.traces.traceparent import Traceparent
from workers.webhooks.deliveries import (
    Deliveries,
    Delivery,
    Failing,
    read_deliveries,
    write_deliveries,
)
from workers.webhooks.log import MilestoneLog, following
from workers.webhooks.milestone import Kind, Milestone
from workers.webhooks.webhook import read_webhook

HEADER_BYTES = 8


@dataclass(frozen=True)
class Loader:
    """One way from bytes to what they mean.

    Attributes:
        load: The loader; it raises nothing but nacre's own errors.
        examples: What it is fed with.
        good: What it must be able to read.
    """

    load: Callable[[bytes], object]
    examples: st.SearchStrategy[bytes]
    good: Sequence[bytes]


def of_bytes(load: Callable[[bytes], object], *good: bytes) -> Loader:
    """Return a loader that is fed with damaged bytes."""
    return Loader(load, st.one_of(damaged(good), st.binary(max_size=200)), good)


def of_json(load: Callable[[bytes], object], *good: bytes, sealed: bool = False) -> Loader:
    """Return a loader of JSON that is fed with documents in which a value is another."""

    def written(document: Any) -> bytes:
        if sealed and isinstance(document, dict):
            document.pop("sha256", None)
            try:
                return seal({key: value for key, value in document.items() if key != "schema"})
            except (TypeError, ValueError, RecursionError):
                pass  # what is no Python value is written as it is
        return json_of(document)

    documents = tuple(json.loads(content) for content in good)
    return Loader(load, st.one_of(tampered(documents).map(written), damaged(good)), good)


def of_tensors(load: Callable[[bytes], object], good: bytes) -> Loader:
    """Return a loader of safetensors, whose header and description are tampered with."""
    size = int.from_bytes(good[:HEADER_BYTES], "little")
    header, content = (
        json.loads(good[HEADER_BYTES : HEADER_BYTES + size]),
        good[HEADER_BYTES + size :],
    )
    described = json.loads(header["__metadata__"]["nacre"])

    def blob(header: Any) -> bytes:
        text = json_of(header)
        return len(text).to_bytes(HEADER_BYTES, "little") + text + content

    def describing(described: Any) -> bytes:
        text = json_of(described).decode("utf-8", "surrogatepass")
        return blob(header | {"__metadata__": {"nacre": text}})

    examples = st.one_of(
        tampered((header,)).map(blob), tampered((described,)).map(describing), damaged((good,))
    )
    return Loader(load, examples, (good,))


def kept(key: str, read: Callable[[ObjectStore], object]) -> Callable[[bytes], object]:
    """Return a loader of what is stored under `key`."""

    def load(content: bytes) -> object:
        store = MemoryStore()
        store.put(key, content)
        return read(store)

    return load


def _task_beside(name: str) -> Callable[[bytes], object]:
    """Return a loader of the source called `name`, as a task file names it."""

    def load(content: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / name).write_bytes(content)
            task = Path(folder) / "task.yaml"
            task.write_text(f"name: colors\nimages: {name}\n")
            return load_task(task, within=Path(folder).resolve())

    return load


def _real(name: str) -> bytes:
    return (Path(__file__).parents[1] / "fixtures" / "formats" / name).read_bytes()


def _parquet_list() -> bytes:
    buffer = io.BytesIO()
    table = pyarrow.table({"path": ["1.png", "2.png"], "label": ["red", "blue"]})
    pyarrow.parquet.write_table(table, buffer)
    return buffer.getvalue()


def _tar(content: bytes) -> object:
    members = bounded_members(decompressed(io.BytesIO(content)))
    return [(member.name, member.read(2**16)) for member in members]


def _question(content: bytes) -> object:
    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    scope = {"type": "http", "headers": [], "query_string": b""}
    return asyncio.run(received_question(Request(scope, receive)))


def _registry() -> dict[str, bytes]:
    """Return one document of each kind that a registry has."""
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b")
    drop(main, "a", by=ANNA, promoted=True)
    purge(main, "a", by=ANNA)
    found = {listed.key.split("/")[-2]: listed.key for listed in store.list("adapters/")}
    return {kind: store.get(key).data for kind, key in found.items()} | {
        "refs": store.get("refs/main.json").data
    }


def _of_sheets() -> Loader:
    """Return a loader of answer sheets, which are JSON inside a gzip."""
    sheet = sheet_to_bytes(answers_about("birds"))
    assert sheet is not None
    inside = of_json(
        lambda data: sheet_from_bytes(gzip.compress(data), "x"), gzip.decompress(sheet), sealed=True
    )
    return replace(inside, load=_sheet, examples=inside.examples.map(gzip.compress), good=[sheet])


def _sheet(content: bytes) -> object:
    return sheet_from_bytes(content, "x")


def _queue() -> dict[str, tuple[str, bytes]]:
    """Return key and bytes of one document of each kind that a queue has."""
    store = MemoryStore()
    birds = submission("birds")
    ticket = ticket_of(birds)
    accepted = inbox.ask(store, Accepted(ticket=ticket), who="anna")
    cancelled = inbox.ask(store, Cancel(submission_id=birds.submission_id), who="anna")
    event = JournalEntry(at=1.0, stage=Stage.TRAINING, message="is being learnt")
    write_entry(store, birds.submission_id, event)
    (journal,) = [listed.key for listed in store.list("journal/")]
    lead = Leadership(owner="a", host="b", epoch=1, expires=2.0, since=1.0)
    page = {"epoch": 1, "beat": 1, "tickets": [json.loads(outcome_bytes(ticket))["ticket"]]}
    return {
        "accepted": (accepted, store.get(accepted).data),
        "cancelled": (cancelled, store.get(cancelled).data),
        "journal": (journal, store.get(journal).data),
        "lead": ("queue/lead.json", lead.to_bytes()),
        "page": (page_key(0), seal(page)),
        "outcome": (
            state_key(birds.submission_id),
            outcome_bytes(replace(ticket, stage=Stage.PUBLISHED, version=1)),
        ),
    }


def _profile(content: bytes) -> object:
    """Return the credentials that a file of profiles has."""
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(content)
        try:
            return ProfileProvider(Path(file.name), "default").retrieve()
        except NotGivenError as error:
            raise SettingsError(error.said) from error


class _Giver(Provider):
    """Gives what an answer of STS says, as minio reads it."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def retrieve(self) -> Credentials:
        text = self._content.decode()
        return _parse_credentials(text, "AssumeRoleWithWebIdentityResult")


def _given(content: bytes) -> object:
    """Return the credentials that somebody has given."""
    try:
        return Renewed(Source(said="x", kind="role", build=lambda _: _Giver(content))).retrieve()
    except NotGivenError as error:
        raise SettingsError(error.said) from error


def _sessions() -> bytes:
    store = MemoryStore()
    session = session_of_subject("a secret", Subject(name="ann", groups=("ml",)), now=1.0)
    keep_session(store, session, now=1.0)
    return store.get(SESSIONS).data


def _tokens() -> bytes:
    """Return a list of named tokens."""
    store, roles = MemoryStore(), {"birds": AccessRole.OPERATOR, "*": AccessRole.VIEWER}
    create_token(store, "ci", roles, by="anna", now=1.0, lifetime="30d")
    revoke_token(store, "ci", by="ben", now=2.0)
    return store.get(TOKENS).data


def _audit() -> bytes:
    """Return an entry of the audit log."""
    store = MemoryStore()
    entry = AuditEntry(at=1.0, who="anna", road="cli", verb="promote", adapter="main", target="3")
    return store.get(write_audit(store, entry)).data


def _webhooks() -> dict[str, tuple[str, bytes]]:
    """Return key and bytes of one document of each kind that webhooks have."""
    failed = Milestone(
        id="evt_1", kind=Kind.FAILED, adapter="main", at=1.0, task="birds", order=(1, 1)
    )
    moved = Milestone(
        id="evt_2",
        kind=Kind.MOVED,
        adapter="main",
        at=2.0,
        moves={"canary": (None, 1)},
        entry=(3, ("ab" * 32, 400, 0)),
    )
    store = MemoryStore()
    registered = webhook(store, kinds=("alias.moved",), begins={"main": (0, 2)})
    delivery = Delivery(
        id="evt_1",
        kind=Kind.FAILED,
        adapter="main",
        sequence=0,
        at=1.0,
        took_s=0.5,
        attempts=2,
        status=500,
        outcome="failed",
        said="it answered 500",
    )
    waits = Failing(since=1.0, attempts=2, until=3.0)
    state = Deliveries(
        name=registered.name, id=registered.id, latest=(delivery,), failing={"main": waits}
    )
    write_deliveries(store, state)
    MilestoneLog(store).append(following(None, "main", [failed, moved]))
    return {
        listed.key.split("/")[1]: (listed.key, store.get(listed.key).data)
        for listed in store.list("webhooks/")
    }


def _inbox(store: ObjectStore) -> object:
    """Return the requests; a damaged one is an error in their list."""
    return inbox.read(store, inbox.waiting(store))


def _journal(store: ObjectStore) -> object:
    return list(read_journal(store, submission("birds").submission_id))


def _is_read(content: bytes) -> bool:
    """Return whether the library for a picture is there; HEIC's is an extra."""
    kind = format_of(content)
    return kind is not None and kind.is_there


EXIF = jpeg_segment(0xE1, b"Exif\0\0" + exif_block([(0x0112, 3, 1, b"\0\x06\0\0")]))
TASKS = (
    b"name: colors\nimages: train\nheld_out: test\nclasses: {a: an a, 007: b}\nseed: 0x1f\n"
    b"settings: {steps: 100, rate: 1e-3}\nskip_unreadable: 0.5\nshared_names: merge\n",
    b'{"name": "colors", "images": "train", "settings": {"steps": [1, 2.5, true, null]}}',
)
PROFILES = (
    b"[default]\naws_access_key_id = AKIA0\naws_secret_access_key = x/y+%z=\n"
    b"[lab]\naws_access_key_id=AKIA1\naws_secret_access_key=s\naws_session_token=t\n"
)
GIVEN = sts_answer(Credentials("ASIA0", "s", "t"), "2099-01-01T00:00:00Z")
CONFIG = (
    b"store: file:///x\nserve: {port: 8000, replicas: {min: 1}}\nadapters:\n  am: {method: lada}\n"
)
QUESTION = json.dumps({"images": [{"data": "MQ=="}], "top_k": 3, "tasks": ["a"]}).encode()
BLOCK = json.dumps({"sha256": "ab" * 32, "size": 12}).encode()
SHARD = packed(
    ("0.png", picture(1)), ("0.cls", b"red"), ("1.png", picture(2)), ("1.json", b'{"label": 1}')
)
EXPORTS = ("coop/split_zhou_Birds.json", "label_studio/tasks.json", "label_studio/min.json")
LINES = b'{"path": "1.png", "label": "red"}\n{"path": "2.png", "label": 7}\n'
LIST = b"path,label\ntrain/1.png,red\ntrain/2.png,7\n"

ENCODER = b'{"activation":null,"model":"tiny-vit","precision":"fp32","pretrained":null,"schema":1}'

_OF_REGISTRY, _OF_QUEUE, _OF_WEBHOOKS = _registry(), _queue(), _webhooks()


def _of_queue(kind: str, read: Callable[[ObjectStore], object], *, sealed: bool = False) -> Loader:
    key, content = _OF_QUEUE[kind]
    return of_json(kept(key, read), content, sealed=sealed)


def _of_webhooks(kind: str, read: Callable[[ObjectStore], object]) -> Loader:
    key, content = _OF_WEBHOOKS[kind]
    return of_json(kept(key, read), content, sealed=True)


def _work_logs() -> bytes:
    store = MemoryStore()
    wrote(store, "birds-0123456789ab")
    (listed,) = store.list("")
    return store.get(listed.key).data


def _work_log(data: bytes) -> object:
    store = MemoryStore()
    store.put(f"{folder_of('birds')}1-trainer-00.json", data)
    return [worker_log_document(each) for each in read_work_logs(store, "birds")]


LOADERS: dict[str, Loader] = {
    # what people and strangers send
    "pictures": of_bytes(
        lambda content: decode_image(content, origin="x"),
        jpeg_with(EXIF),
        *filter(_is_read, of_every_format().values()),
    ),
    "task files": of_bytes(lambda content: settings_of(TaskFile, content, "x"), *TASKS),
    "configurations": of_bytes(lambda content: settings_of(Config, content, "x"), CONFIG),
    "profiles": of_bytes(_profile, PROFILES),
    "credentials": of_bytes(_given, GIVEN),
    "tars": of_bytes(_tar, packed(*PICTURES), packed(("é" * 200, b"x"), ("folder", None))),
    "lists": of_bytes(_task_beside("list.csv"), LIST),
    "shards": of_bytes(_task_beside("shard.tar"), SHARD),
    "compressed shards": of_bytes(_task_beside("shard.tar.gz"), gzip.compress(SHARD)),
    "JSON lines": of_bytes(_task_beside("list.jsonl"), LINES),
    "tables": of_bytes(
        _task_beside("table.parquet"), _real("hub/data/test-00000-of-00001.parquet")
    ),
    "Parquet lists": of_bytes(_task_beside("list.parquet"), _parquet_list()),
    "Arrow streams": of_bytes(
        _task_beside("table.arrow"), _real("saved/test/data-00000-of-00001.arrow")
    ),
    "exports": of_json(_task_beside("export.json"), *map(_real, EXPORTS)),
    "XML exports": of_bytes(_task_beside("export.xml"), _real("cvat/annotations.xml")),
    "JSON bodies": of_json(_question, QUESTION),
    # what lies in the store
    "refs": of_json(lambda data: refs_from_bytes(data, "x"), _OF_REGISTRY["refs"], sealed=True),
    "manifests": of_json(lambda data: manifest_from_bytes(data, "x"), _OF_REGISTRY["manifests"]),
    "history": of_json(lambda data: entry_from_bytes(data, "x"), _OF_REGISTRY["history"]),
    "tombstones": of_json(
        lambda data: tombstones_from_bytes(data, "x"), _OF_REGISTRY["tombstones"]
    ),
    "accuracies": of_json(
        lambda data: accuracies_from_bytes(data, "x"), _OF_REGISTRY["accuracies"], sealed=True
    ),
    "answer sheets": _of_sheets(),
    "records": of_tensors(decode_record, record_of("birds")),
    "shared states": of_tensors(decode_shared, shared_of("birds")),
    "kept answers": of_tensors(
        lambda data: answers_from_bytes(data, "x"),
        KeptAnswers(
            surroundings="here",
            records=("ab" * 32,),
            tasks={
                "cd" * 32: BestAnswers(
                    scores=torch.ones(2), columns=torch.tensor([0, 1]), log_sums=torch.ones(2)
                )
            },
        ).to_bytes(),
    ),
    "submissions": of_json(
        lambda data: submission_from_bytes(data, "x"), submission("birds").to_bytes()
    ),
    "named blocks": of_json(kept("block", lambda store: named_blob(store, "block")), BLOCK),
    "known encoders": of_json(
        kept(encoder_key("ab"), lambda store: read_encoder(store, "ab")), ENCODER
    ),
    "requests": _of_queue("accepted", _inbox),
    "wishes": _of_queue("cancelled", _inbox),
    "journals": _of_queue("journal", _journal),
    "leads": _of_queue("lead", read_leadership, sealed=True),
    "pages": _of_queue("page", lambda store: read_page(store, 0), sealed=True),
    "named tokens": of_json(lambda data: tokens_from_bytes(data, "x"), _tokens(), sealed=True),
    "sessions": of_json(lambda data: sessions_from_bytes(data, "x"), _sessions(), sealed=True),
    "logs of workers": of_json(_work_log, _work_logs()),
    "traceparents": of_bytes(
        lambda data: Traceparent.read(data.decode("latin-1")),
        b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    "audit entries": of_json(lambda data: audit_from_bytes(data, "x"), _audit()),
    "outcomes": _of_queue("outcome", lambda store: read_outcome(store, "birds-0123456789ab")),
    "milestones": _of_webhooks("milestones", lambda store: MilestoneLog(store).last("main")),
    "webhooks": _of_webhooks("registered", lambda store: read_webhook(store, "team-chat")),
    "deliveries": _of_webhooks(
        "deliveries", lambda store: read_deliveries(store, "team-chat", "hook_team-chat")
    ),
}
