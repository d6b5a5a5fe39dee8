"""The examples of docs/format.md: the code reads each, and writes the same bytes again."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from adapters.contract.canonical import canonical_json
from adapters.contract.records import decode_record, encode_record, pack, unpack
from adapters.methods import method_named
from workers.access.audit import entry_from_bytes as audit_from_bytes
from workers.access.audit import write_entry as write_audit
from workers.access.sessions import sessions_from_bytes
from workers.access.tokens import tokens_from_bytes
from workers.formats.documents import seal
from workers.logs.work_log import folder_of, read_work_logs, write_work_log
from workers.queue import inbox
from workers.queue.journal import read_journal, write_entry
from workers.queue.leadership import KEY as LEAD
from workers.queue.leadership import read_leadership
from workers.queue.ledger import outcome_bytes, page_key, read_outcome, read_page, state_key
from workers.queue.progress import KEY as PROGRESS
from workers.queue.progress import read_progress, write_progress
from workers.registry.documents.accuracy import accuracies_from_bytes, accuracies_to_bytes
from workers.registry.documents.answer_sheet import sheet_from_bytes, sheet_to_bytes
from workers.registry.documents.history import entry_from_bytes
from workers.registry.documents.manifest import manifest_from_bytes
from workers.registry.documents.purged import tombstones_from_bytes, tombstones_to_bytes
from workers.registry.documents.refs import refs_from_bytes
from workers.store import MemoryStore
from workers.tasks.submission import submission_from_bytes
from workers.webhooks.deliveries import PREFIX as DELIVERIES
from workers.webhooks.deliveries import read_deliveries
from workers.webhooks.log import PREFIX as MILESTONES
from workers.webhooks.log import MilestoneLog
from workers.webhooks.webhook import PREFIX as WEBHOOKS
from workers.webhooks.webhook import existing_webhook

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
IT = "the example"


def examples() -> dict[str, dict[str, Any]]:
    """Return the documents on the page by the headings above them; shortened digests are filled."""
    parts = re.split(r"^##+ ([^:\n]+).*$", PAGE, flags=re.MULTILINE)
    found = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        for block in re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL):
            full = re.sub(r'"([0-9a-f]*)…"', lambda short: f'"{short[1]:0<64}"', block)
            found[heading] = json.loads(full)
    return found


def record(content: bytes) -> bytes:
    blob = pack({"memory": torch.ones(1)}, json.loads(content))
    return canonical_json(unpack(encode_record(decode_record(blob)))[1])


def lead(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(LEAD, content)
    found = read_leadership(store)
    assert found is not None
    return found.to_bytes()


def page(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(page_key(0), content)
    return read_page(store, 0).to_bytes()


def outcome(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(state_key("digits"), content)
    ticket = read_outcome(store, "digits")
    assert ticket is not None
    return outcome_bytes(ticket)


def progress(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(PROGRESS, content)
    write_progress(store, read_progress(store))
    return store.get(PROGRESS).data


def milestones(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(f"{MILESTONES}main/000000000041.json", content)
    batch = MilestoneLog(store).batch_with("main", 42)
    assert batch is not None
    return batch.to_bytes()


def webhook(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(f"{WEBHOOKS}team-chat.json", content)
    return existing_webhook(store, "team-chat").to_bytes()


def deliveries(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(f"{DELIVERIES}team-chat.json", content)
    return read_deliveries(store, "team-chat", "hook_0123456789abcdef").to_bytes()


def request(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(f"{inbox.PREFIX}1-0.json", content)
    (found,) = inbox.read(store, inbox.waiting(store))
    if not isinstance(found, inbox.QueueRequest):
        raise found
    return store.get(inbox.ask(store, found.event, who=found.who)).data


def event(content: bytes) -> bytes:
    store = MemoryStore()
    store.put(f"journal/digits/{1:020d}-3.json", content)
    (entry,) = read_journal(store, "digits")
    write_entry(store, "again", entry)
    (listed,) = store.list("journal/again/")
    return store.get(listed.key).data


def work_log(content: bytes) -> bytes:
    store, key = MemoryStore(), f"{folder_of('digits-0123456789ab')}1-trainer-00.json"
    store.put(key, content)
    (found,) = read_work_logs(store, "digits-0123456789ab")
    write_work_log(store, key, found)
    return store.get(key).data


def audit(content: bytes) -> bytes:
    store = MemoryStore()
    return store.get(write_audit(store, audit_from_bytes(content, IT))).data


def answers(content: bytes) -> bytes:
    written = sheet_to_bytes(sheet_from_bytes(gzip.compress(content), IT))
    assert written is not None
    return gzip.decompress(written)


AGAIN: dict[str, Callable[[bytes], bytes]] = {
    "The refs": lambda content: refs_from_bytes(content, IT).to_bytes(),
    "A version's manifest": lambda content: manifest_from_bytes(content, IT).to_bytes(),
    "A history entry": lambda content: entry_from_bytes(content, IT).to_bytes(),
    "Tombstones": lambda content: tombstones_to_bytes(tombstones_from_bytes(content, IT)),
    "Accuracies": lambda content: accuracies_to_bytes(accuracies_from_bytes(content, IT)),
    "Answers": answers,
    "A record": record,
    "A submission": lambda content: submission_from_bytes(content, IT).to_bytes(),
    "Who leads": lead,
    "A page of tickets": page,
    "How a submission has ended": outcome,
    "How far it is": progress,
    "A request": request,
    "An event": event,
    "What a worker wrote": work_log,
    "Sessions": lambda content: sessions_from_bytes(content, IT).to_bytes(),
    "Named tokens": lambda content: tokens_from_bytes(content, IT).to_bytes(),
    "An audit entry": audit,
    "Milestones": milestones,
    "A webhook": webhook,
    "Deliveries": deliveries,
}


def test_every_document_on_the_page_is_checked_here() -> None:
    assert examples().keys() == AGAIN.keys()


@pytest.mark.parametrize("heading", AGAIN)
def test_an_example_is_read_and_written_again_as_it_stands(heading: str) -> None:
    example = examples()[heading]
    content = canonical_json(example)
    if example.pop("sha256", None) is not None:
        content = seal(example)
    assert AGAIN[heading](content) == content


@pytest.mark.parametrize("heading", ["A version's manifest", "A record"])
def test_the_settings_in_an_example_are_settings_of_its_method(heading: str) -> None:
    example = examples()[heading]
    complete = method_named(example["method"]).check_settings(example["settings"])
    assert complete.items() >= example["settings"].items()
