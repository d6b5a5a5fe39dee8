"""Pictures of every page of the console, in both themes and on a phone's width.

    python -m docs.screenshots FOLDER

It learns two small tasks in a store of its own, needs Debian's `chromium`, and writes a PNG per
page and width: look at each before a change of the pages is merged.
"""

import sys
import tempfile
from pathlib import Path

from tests.support.drivers.browser import browser_path
from tests.support.scenes.console_system import console_system

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
    "playground": "/playground",
    "new-task": "/tasks/new",
    "history": "/history?calls=yes",
    "data": "/data",
    "remove": f"{OF}/tasks/digits/remove",
    "health": "/health",
    "access": "/access",
    "search": "/search?q=dig",
}
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
            context.close()
        browser.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("expected the folder that the pictures are written to")
    main(Path(sys.argv[1]))
