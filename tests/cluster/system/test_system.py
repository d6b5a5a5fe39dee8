"""What is checked before the system starts: a free port, a token, the adapter's own encoder."""

import socket
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.errors import EncoderMismatchError, SettingsError, UnavailableError
from cluster.config import PREDICT_TOKEN, TOKEN, AccessConfig, Config, OidcConfig, ServeConfig
from cluster.stores.versions import open_versions
from tests.support.scenes.registry import learn
from workers.registry import Registry
from workers.store import FileStore

with warnings.catch_warnings():
    # Ray's own imports warn of what they use; nothing is started by them.
    warnings.simplefilter("ignore")
    from cluster.runtime.roles import check_encoder
    from cluster.system.system import check_can_listen, is_loopback


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that somebody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_port_that_is_taken_is_named(taken: int) -> None:
    with pytest.raises(UnavailableError, match=f"port {taken} on 127.0.0.1.*`serve: port:`"):
        check_can_listen(Config(serve=ServeConfig(port=taken)))


def test_an_address_that_others_reach_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(serve=ServeConfig(host="0.0.0.0", port=0))
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(SettingsError, match=r"expected a token in NACRE_TOKEN.*0\.0\.0\.0"):
        check_can_listen(config)
    monkeypatch.setenv(TOKEN, "")
    with pytest.raises(SettingsError, match="expected a token"):
        check_can_listen(config)
    monkeypatch.setenv(TOKEN, "a-long-secret")
    check_can_listen(config)


def test_a_token_to_ask_alone_would_stop_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.setenv(PREDICT_TOKEN, "who-may-ask")
    with pytest.raises(SettingsError, match="NACRE_TOKEN beside the one in NACRE_PREDICT_TOKEN"):
        check_can_listen(Config(serve=ServeConfig(port=0)))


def test_a_provider_needs_a_token_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may do anything without one then, and commands of this machine ask the replicas."""
    oidc = OidcConfig(issuer="https://id.example.com", audience="nacre")
    config = Config(serve=ServeConfig(port=0), access=AccessConfig(oidc=oidc))
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(SettingsError, match="expected a token in NACRE_TOKEN beside `access: oidc"):
        check_can_listen(config)
    monkeypatch.setenv(TOKEN, "secret")
    check_can_listen(config)


HOSTS = [
    ("127.0.0.1", True),
    ("127.9.9.9", True),
    ("::1", True),
    ("localhost", True),
    # everything else may be reached from outside
    ("0.0.0.0", False),
    ("::", False),
    ("10.0.0.1", False),
    ("localhost.example.org", False),
    ("", False),
]


@pytest.mark.parametrize(("host", "inside"), HOSTS)
def test_only_loopback_is_safe_without_a_token(host: str, inside: bool) -> None:
    assert is_loopback(host) is inside


def test_the_adapters_own_encoder_is_asked_for_before_anything_is_learnt(tmp_path: Path) -> None:
    versions = open_versions(Config(store=f"file://{tmp_path}"))
    check_encoder(versions, "main", "another")  # nothing is published: any encoder will do
    learn(Registry(FileStore(tmp_path)).create("main"), "fashion")
    check_encoder(versions, "main", "tiny")
    with pytest.raises(EncoderMismatchError, match="tiny"):
        check_encoder(versions, "main", "another")
