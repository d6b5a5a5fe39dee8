"""The page that shows the HTTP API: it needs nothing but the service itself."""

import re
from pathlib import Path

import httpx
import pytest

from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.browser import colors_shown

LOADED = re.compile(r"""(?:href|src|url)\s*[=:]\s*["']([^"']+)["']""")
GET, POST = (97, 175, 254), (73, 204, 144)
"""How Swagger UI colours the names of methods."""


def test_the_root_leads_to_the_page(api: httpx.Client) -> None:
    page = api.get("/", follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, "/docs")


def test_everything_that_the_page_loads_comes_from_the_service(api: httpx.Client) -> None:
    loaded = LOADED.findall(api.get("/docs").text)
    assert "/openapi.json" in loaded
    assert [address for address in loaded if not address.startswith("/")] == []
    assert {api.get(address).status_code for address in loaded} == {200}


@pytest.mark.slow
def test_a_browser_without_a_network_shows_the_routes(server: ApiServer, tmp_path: Path) -> None:
    assert {GET, POST} <= colors_shown(f"{server.url}/docs", tmp_path)
