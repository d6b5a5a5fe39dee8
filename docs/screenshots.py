"""Pictures of the console: of every page, in both themes and on a phone's width.

    python -m docs.screenshots FOLDER
    python -m docs.screenshots docs/images --of-the-docs

It learns two small tasks in a store of its own, needs Debian's `chromium`, and writes a PNG per
page and width: look at each before a change of the pages is merged. Those of the docs are of the
five example tasks, learnt whole.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from cluster.api.access.requesters import Access
from cluster.client.client import Client
from cluster.config import Config, ServeConfig
from cluster.stores.open import open_store
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.browser import browser_path
from tests.support.drivers.console_site import ConsoleSite
from tests.support.drivers.s3_server import free_port
from tests.support.scenes.console_system import console_system
from workers.coordination.local_coordinator import coordinating
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings

EXAMPLES = Path(__file__).parents[1] / "cluster" / "examples"
OF = "/adapters/main"
PAGES = {
    "overview": "",
    "queue": "/queue",
    "versions": f"{OF}/versions",
    "version": f"{OF}/versions/2",
    "rollback": f"{OF}/rollback/1",
    "promote": f"{OF}/promote/2",
    "compare": f"{OF}/compare",
    "accuracy": f"{OF}/matrix",
    "errors": f"{OF}/errors",
    "serving": "/serving",
    "playground": "/playground",
    "new-task": "/tasks/new",
    "history": "/history?calls=yes",
    "data": "/data",
    "remove": f"{OF}/tasks/digits/remove",
    "health": "/health",
    "access": "/access",
    "search": "/search?q=dig",
}
DEMO = ("sketched-nature", "fashion", "digits", "sketched-things", "clip-art")
OF_THE_DOCS = {"console-accuracy": f"{OF}/matrix", "console-errors": f"{OF}/errors"}
MINUTE_MS = 60_000
SEEN = """() => [...document.images].every(
  (image) => image.complete || image.getBoundingClientRect().top > innerHeight)"""
LOOKS = {"light": ("light", 1280), "dark": ("dark", 1280), "phone": ("light", 375)}


def main(target: Path) -> None:
    """Write all pictures into `target`."""
    from playwright.sync_api import sync_playwright

    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        console_system(EXAMPLES, Path(name), classes=4, locked=False) as system,
        sync_playwright() as playwright,
    ):
        path = browser_path()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        first = next(iter(system.submissions))
        pages = {**PAGES, "submission": f"/submissions/{first}"}
        for look, (theme, width) in LOOKS.items():
            context = browser.new_context(
                color_scheme="dark" if theme == "dark" else "light",
                viewport={"width": width, "height": 800},
            )
            page = context.new_page()
            for title, address in pages.items():
                page.goto(f"{system.site.url}{address}")
                page.screenshot(path=target / f"{title}-{look}.png", full_page=True)
            page.goto(f"{system.site.url}/tasks/new")
            page.get_by_label("Name of the task").fill("clip-art")
            page.locator("#archive").set_input_files(system.archive)
            page.get_by_role("button", name="Check").click()
            page.locator("#report").wait_for(timeout=MINUTE_MS)
            page.screenshot(path=target / f"checked-{look}.png", full_page=True)
            context.close()
        browser.close()


def of_the_docs(target: Path) -> None:
    """Write the pictures that the documentation shows into `target`."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        config = Config(store=f"file://{name}/store", serve=ServeConfig(port=free_port()))
        store, encoder = open_store(config.store), Encoder(EncoderSettings())
        running.enter_context(coordinating(store, encoder))
        client = Client(config, by="anna", store=store)
        for task in DEMO:
            submission = client.submit(EXAMPLES / task / "task.yaml").submission
            for state in client.watch(submission):
                print(task, state.ticket.stage)
        running.enter_context(ApiServer(config, port=config.serve.port))
        site = running.enter_context(ConsoleSite(config, access=Access(), store=store))
        playwright = running.enter_context(sync_playwright())
        path = browser_path()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 760})
        for title, address in OF_THE_DOCS.items():
            page.goto(f"{site.url}{address}")
            page.wait_for_function(SEEN, timeout=MINUTE_MS)
            page.screenshot(path=target / f"{title}.png")
        browser.close()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--of-the-docs"]
    if len(words) != 1 or words[0].startswith("-"):
        raise SystemExit("expected the folder that the pictures are written to")
    (main if words == sys.argv[1:] else of_the_docs)(Path(words[0]))
