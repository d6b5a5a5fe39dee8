"""`nacre webhook` as people use it: what is shown once, what is refused, and what a test says."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from cluster.client.client import Client
from cluster.config import Config, EventsConfig, load_config
from cluster.wire.outputs.schemas import SCHEMAS
from tests.support.drivers.command import Command
from tests.support.drivers.printed import as_promised
from tests.support.drivers.receiving import receiver, with_status, yes
from tests.support.drivers.telling import telling
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.queue.leadership import take_leadership
from workers.store import FileStore
from workers.webhooks.deliveries import Deliveries, Delivery, Failing, write_deliveries
from workers.webhooks.webhook import read_webhook

URL = "https://hooks.example.com/a-secret-path"
ADD = ("webhook", "add", "team-chat", URL)


@pytest.fixture
def allowed(nacre: Command, tmp_path: Path) -> Command:
    """Return `nacre` with a configuration that permits one address."""
    (tmp_path / "nacre.yaml").write_text("events: {allow: [https://hooks.example.com/]}\n")
    return nacre


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def test_a_secret_is_shown_once_and_never_again(allowed: Command, store: FileStore) -> None:
    added = allowed(*ADD, "--kind", "submission.failed")
    assert added.code == 0
    secret = added.out.split("secret, shown this once: ")[1].strip()
    assert secret.startswith("whsec_")
    stored = read_webhook(store, "team-chat")
    assert stored is not None
    assert stored.secrets[0].value == secret
    for output in ("text", "json"):
        for verb in (("show", "team-chat"), ("list",)):
            shown = allowed("webhook", *verb, "--output", output).out
            assert "team-chat" in shown
            assert "https://hooks.example.com/" in shown
            assert secret not in shown
            assert "a-secret-path" not in shown


def test_a_rotated_secret_is_another_one_and_the_old_one_signs_for_a_while(
    allowed: Command,
) -> None:
    first = as_promised("webhook add", allowed(*ADD, "--output", "json").out)
    rotated = allowed("webhook", "rotate", "team-chat", "--output", "json")
    second = as_promised("webhook rotate", rotated.out)
    assert second["secret"] != first["secret"]
    assert (first["secrets"], second["secrets"]) == (1, 2)
    at_once = allowed("webhook", "rotate", "team-chat", "--overlap-hours", "0", "--output", "json")
    assert as_promised("webhook rotate", at_once.out)["secrets"] == 1


def test_an_address_that_is_not_permitted_is_refused_with_what_is(allowed: Command) -> None:
    ended = allowed("webhook", "add", "evil", "http://169.254.169.254/latest")
    assert ended.code == 2
    assert "expected an address below one of https://hooks.example.com/" in ended.err
    assert allowed("webhook", "list").out == (
        "no webhooks yet; register one with `nacre webhook add`\n"
    )


def test_without_permitted_addresses_it_is_said_how_to_permit_one(nacre: Command) -> None:
    ended = nacre(*ADD)
    assert ended.code == 2
    assert "`events: {allow: [https://hooks.example.com/]}`" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "team chat", URL), "'team chat' cannot name a webhook"),
        ((*ADD[1:], "--kind", "submission.fail"), "did you mean 'submission.failed'"),
        ((*ADD[1:], "--adapter", "a b"), "'a b' cannot name an adapter"),
        (("show", "team-chart"), "did you mean 'team-chat'?"),
        (("remove", "team-chart"), "did you mean 'team-chat'?"),
    ],
)
def test_a_mistake_is_one_sentence_with_what_was_expected(
    allowed: Command, arguments: tuple[str, ...], said: str
) -> None:
    allowed(*ADD)
    ended = allowed("webhook", *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_two_webhooks_of_one_name_are_refused_until_the_first_is_removed(allowed: Command) -> None:
    allowed(*ADD)
    again = allowed(*ADD)
    assert again.code == 3
    assert "there is a webhook 'team-chat'" in again.err
    removed = allowed("webhook", "remove", "team-chat", "--output", "json")
    assert as_promised("webhook remove", removed.out) == {"name": "team-chat"}
    assert allowed(*ADD).code == 0


def test_what_became_of_deliveries_is_shown(allowed: Command, store: FileStore) -> None:
    allowed(*ADD)
    webhook = read_webhook(store, "team-chat")
    assert webhook is not None
    failed = Delivery(
        id="evt_1",
        kind="submission.failed",
        adapter="main",
        sequence=7,
        at=1_790_000_000.0,
        took_s=0.25,
        attempts=3,
        status=500,
        outcome="failed",
        said="it answered 500",
    )
    waits = Failing(since=1_790_000_000.0, attempts=3, until=1_790_000_010.0)
    state = Deliveries(name="team-chat", id=webhook.id, latest=(failed,), failing={"main": waits})
    write_deliveries(store, state)
    text = allowed("webhook", "show", "team-chat").out
    assert "fails" in text
    assert "3 attempts since 2026-09-21 14:13:20 UTC, the next at 2026-09-21 14:13:30 UTC" in text
    assert "it answered 500" in text
    shown = as_promised(
        "webhook show", allowed("webhook", "show", "team-chat", "--output", "json").out
    )
    assert shown["state"] == "fails"
    assert shown["deliveries"][0]["status"] == 500
    listed = as_promised("webhook list", allowed("webhook", "list", "--output", "json").out)
    assert listed[0]["waiting"][0]["adapter"] == "main"


def test_a_stopped_webhook_says_why_and_works_again_when_it_is_resumed(
    allowed: Command, store: FileStore
) -> None:
    allowed(*ADD)
    webhook = read_webhook(store, "team-chat")
    assert webhook is not None
    gone = "it answered 410 Gone: it wants no more events"
    write_deliveries(store, Deliveries(name="team-chat", id=webhook.id, stopped=gone))
    assert f"stopped: {gone}" in allowed("webhook", "show", "team-chat").out
    resumed = allowed("webhook", "resume", "team-chat", "--output", "json")
    assert as_promised("webhook resume", resumed.out)["state"] == "works"


def test_a_test_without_a_running_system_says_so(allowed: Command) -> None:
    allowed(*ADD)
    ended = allowed("webhook", "test", "team-chat")
    assert ended.code == 4
    assert "expected a system that runs and sends events, found none" in ended.err


def test_a_test_where_the_running_system_permits_nothing_says_so(
    allowed: Command, store: FileStore
) -> None:
    allowed(*ADD)
    published: dict[str, dict[str, list[str]]] = {"events": {"allow": [], "inner": []}}
    take_leadership(
        store, owner="a", host="h", ttl_s=3000, now=time.time(), configuration=published
    )
    ended = allowed("webhook", "test", "team-chat")
    assert ended.code == 4
    assert "the running system sends events nowhere" in ended.err


def test_a_test_says_what_the_receiver_has_answered(
    nacre: Command, store: FileStore, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    encoder = Encoder(EncoderSettings())
    with receiver(yes) as running, receiver(with_status(500)) as wrong:
        urls = {"works": running.url, "wrong": wrong.url}
        events = EventsConfig(allow=tuple(urls.values()), inner=("127.0.0.0/8",))
        allow = ", ".join(urls.values())
        (tmp_path / "nacre.yaml").write_text(f"events: {{allow: [{allow}]}}\n")
        with telling(store, encoder, events):
            for name, url in urls.items():
                assert nacre("webhook", "add", name, url).code == 0
            said = nacre("webhook", "test", "works")
            ended = nacre("webhook", "test", "wrong", "--output", "json")
    assert said.code == 0
    assert said.out.startswith("works: it answered 204 after ")
    assert ended.code == 4
    assert as_promised("webhook test", ended.out)["delivery"]["status"] == 500
    assert "webhook 'wrong' was not told: it answered 500" in ended.err
    (request,) = running.requests
    assert json.loads(request.body)["type"] == "webhook.test"


def test_events_of_the_configuration_are_read(allowed: Command, tmp_path: Path) -> None:
    events = load_config(tmp_path / "nacre.yaml").events
    assert allowed("webhook", "list").code == 0
    assert events == EventsConfig(allow=("https://hooks.example.com/",))


@pytest.mark.parametrize(
    "written",
    [
        "{allow: [hooks.example.com]}",
        "{allow: ['https://u@h/']}",
        "{inner: [10.0.0.0/99]}",
        "{al: 1}",
    ],
)
def test_what_no_address_is_in_the_configuration_is_an_error(
    allowed: Command, tmp_path: Path, written: str
) -> None:
    (tmp_path / "nacre.yaml").write_text(f"events: {written}\n")
    ended = allowed("webhook", "list")
    assert ended.code == 2
    assert "events" in ended.err


def test_a_client_gives_the_webhook_with_its_secret_to_python_alone(tmp_path: Path) -> None:
    events = EventsConfig(allow=("https://hooks.example.com/",))
    client = Client(Config(store=f"file://{tmp_path}/store", events=events), by="anna")
    added = client.add_webhook("team-chat", URL)
    assert added.by == "anna"
    assert added.secrets[0].value not in repr(added)
    assert [each.name for each, _ in client.webhooks()] == ["team-chat"]


def test_the_schemas_show_no_secret_but_where_one_is_new() -> None:
    with_secret = {verb for verb, model in SCHEMAS.items() if '"secret"' in _schema(model)}
    assert with_secret == {"webhook add", "webhook rotate"}


def _schema(model: Any) -> str:
    return json.dumps(TypeAdapter(model).json_schema())
