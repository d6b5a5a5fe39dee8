"""The way to the API on a machine whose environment speaks of proxies and certificates."""

import httpx
import pytest

from adapters.errors import SettingsError
from cluster.client.http_api import connected

BROKEN = [
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("ALL_PROXY", "socks5://127.0.0.1:9"),
    ("all_proxy", "socks://127.0.0.1:9"),
    ("no_proxy", "::1/128,10.0.0.0/8"),
    ("SSL_CERT_FILE", "/missing.pem"),
]


@pytest.mark.parametrize(("name", "value"), BROKEN)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_loopback_is_asked_without_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, host: str
) -> None:
    monkeypatch.setenv(name, value)
    with connected(httpx.Client, f"http://{host}:8000") as client:
        assert not client.trust_env


@pytest.mark.parametrize(("name", "value"), BROKEN[1:3])
def test_a_variable_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        connected(httpx.Client, "http://nacre.example.org:8000")
