"""The console in a real browser: what people do there, also without scripts and by keyboard."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.console.test_pages import path_of
from tests.support.drivers.browser import browser_path
from tests.support.drivers.console_site import ConsoleSite
from tests.support.scenes.console import Console, learnt
from tests.support.scenes.console_system import ConsoleSystem, console_system

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
LEARNT_MS = 120_000.0
NARROW, USUAL = {"width": 320, "height": 256}, {"width": 1280, "height": 800}
"""What 1280 pixels are at 400 %."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATHS = ("", "/queue", "/adapters/{adapter}/versions", "/adapters/{adapter}/versions/{version}",
         "/adapters/{adapter}/rollback/{version}", "/adapters/{adapter}/promote/{version}",
         "/history?calls=yes", "/adapters/{adapter}/matrix", "/adapters/{adapter}/errors",
         "/adapters/{adapter}/compare", "/serving", "/playground", "/tasks/new", "/data", "/health",
         "/access", "/search?q=a")  # fmt: skip
VIOLATIONS = "o => axe.run({resultTypes: ['violations'], preload: false, ...o})"
"""What axe finds; no rule that looks needs sheets and films loaded again."""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    path = browser_path()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleSystem]:
    examples = Path(__file__).parents[3] / "cluster" / "examples"
    with console_system(examples, tmp_path_factory.mktemp("console")) as running:
        yield running


@pytest.fixture
def wrong(system: ConsoleSystem) -> Iterator[list[str]]:
    """Collect what the browser complains of; at the end there must be nothing."""
    del system
    found: list[str] = []
    yield found
    assert not found


def opened(browser: "Browser", wrong: list[str], **options: Any) -> "Page":
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(180_000)
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    return page


def log_in(page: "Page", system: ConsoleSystem) -> None:
    page.goto(system.site.url)
    page.get_by_label("A named token").fill(system.token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{system.site.url}*")


def answer_of(page: "Page", system: ConsoleSystem, picture: Path) -> str:
    """Ask what a picture shows, and return the version that has answered."""
    page.goto(f"{system.site.url}/playground")
    page.get_by_label("Images").set_input_files(picture)
    page.get_by_role("button", name="Ask").click()
    return page.locator("section h4").first.inner_text()


def test_a_person_submits_watches_compares_and_rolls_back_by_keyboard(
    browser: "Browser", system: ConsoleSystem, wrong: list[str]
) -> None:
    page = opened(browser, wrong)
    log_in(page, system)
    check_and_submit(page, system)

    # Watch it publish without loading the page again.
    page.evaluate("window.stays = true")
    page.locator("#state .stage.published").wait_for(timeout=LEARNT_MS)
    assert page.evaluate("window.stays")
    assert page.locator(".thumbs img").first.evaluate("each => each.complete")

    find_the_wrong_images_of_a_class(page)

    # Compare two versions on an image.
    page.get_by_role("link", name="Versions").click()
    page.get_by_label("Compare", exact=True).fill("1")
    page.get_by_label("with", exact=True).fill("3")
    page.get_by_role("button", name="Compare").click()
    assert "Only in main@3" in page.inner_text("main")
    page.get_by_label("Images").set_input_files(system.bag)
    page.get_by_role("button", name="Ask both what they show").click()
    assert page.locator("section h4").all_inner_texts() == ["main@1", "main@3"]
    assert answer_of(page, system, system.zero) == "main@3"
    page.get_by_role("link", name="Serving").click()
    page.get_by_role("region", name="Replicas").get_by_role("cell", name="main@3").first.wait_for()

    roll_back_by_keyboard_alone(page, system)

    # See the answer change, and the history name who did it.
    assert answer_of(page, system, system.zero) == "main@1"
    page.get_by_role("link", name="History").click()
    row = page.locator("#moves tbody tr").first.inner_text()
    assert "token:anna" in row
    assert "sketches were mislabelled" in row
    assert "production 3 → 1" in row
    page.context.close()


def check_and_submit(page: "Page", system: ConsoleSystem) -> None:
    """Look what may be wrong with a task, and then submit what was chosen."""
    page.get_by_role("link", name="New task").click()
    page.get_by_label("Name of the task").fill("clip-art")
    page.locator("#archive").set_input_files(system.archive)
    page.get_by_label("Images to measure on").fill("test")
    page.get_by_role("button", name="Check").click()
    page.get_by_text("It would be accepted as it is.").first.wait_for(timeout=LEARNT_MS)
    assert "doubted labels" in page.inner_text("#checked")
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url("**/submissions/clip-art-*")


def find_the_wrong_images_of_a_class(page: "Page") -> None:
    """Look at the images of the class that is recognised least."""
    page.get_by_role("link", name="Errors").click()
    worst = page.get_by_role("region", name="Classes").get_by_role("link").first
    name = worst.inner_text()
    worst.click()
    page.wait_for_url("**truth=**")
    assert set(page.locator(".gallery b:first-child").all_inner_texts()) == {name}
    assert page.locator(".gallery img").first.evaluate("each => each.naturalWidth") > 1


def roll_back_by_keyboard_alone(page: "Page", system: ConsoleSystem) -> None:
    """Roll back to version 1, with a reason."""
    page.goto(f"{system.site.url}/adapters/main/versions")
    tab_to(page, "Roll back to version 1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/rollback/1")
    assert "Lost: 2 tasks" in page.inner_text("main")
    tab_to(page, "Reason, for the history")
    page.keyboard.type("sketches were mislabelled")
    page.keyboard.press("Tab")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/versions")
    assert "Version 1 of main is in production" in page.inner_text("[role=status]:visible")


def tab_to(page: "Page", name: str) -> None:
    """Press Tab until what is called so has the focus."""
    named = "e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent"
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate(f"({named})(document.activeElement)") == name:
            return
    pytest.fail(f"the keyboard does not lead to {name!r}")


def test_nothing_is_in_the_way_of_anybody_on_any_page_in_either_theme(
    browser: "Browser", system: ConsoleSystem, wrong: list[str]
) -> None:
    from axe_playwright_python.base import AXE_SCRIPT

    page = opened(browser, wrong, color_scheme="light")
    log_in(page, system)
    (submission,) = {s.ticket.submission_id for s in _queue(system)[:1]}
    for path in (*map(path_of, PATHS), f"/submissions/{submission}"):
        page.emulate_media(color_scheme="light")
        page.goto(f"{system.site.url}{path}")
        page.evaluate(AXE_SCRIPT)
        found = page.evaluate(VIOLATIONS, {})["violations"]
        page.emulate_media(color_scheme="dark")
        dark = page.evaluate(VIOLATIONS, {"runOnly": ["color-contrast"]})["violations"]
        assert not [(path, each["id"], each["nodes"]) for each in (*found, *dark)]
        # At 400 % nothing has to be scrolled sideways but tables.
        page.set_viewport_size(_size(NARROW))
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wide) <= 0, path
        page.set_viewport_size(_size(USUAL))
    page.context.close()


def _size(sides: dict[str, int]) -> Any:
    return sides


def _queue(system: ConsoleSystem) -> Any:
    from cluster.client.client import Client

    return Client(system.config, store=system.store).queue().states


def test_without_scripts_everything_can_be_done_by_links_and_forms(
    browser: "Browser", system: ConsoleSystem, wrong: list[str]
) -> None:
    page = opened(browser, wrong, java_script_enabled=False)
    log_in(page, system)
    page.get_by_role("link", name="Queue", exact=True).click()
    page.get_by_role("button", name="Pause all adapters").click()
    page.get_by_role("button", name="Undo").click()
    assert page.get_by_role("button", name="Pause all adapters").is_visible()
    page.goto(f"{system.site.url}/adapters/main/promote/2")
    page.get_by_label("Alias", exact=True).fill("reviewed")
    page.get_by_label("Reason, for the history").fill("looked at")
    page.get_by_role("button", name=re.compile("Move the alias")).click()
    assert "reviewed of main is version 2 now" in page.inner_text("main")
    page.context.close()


def test_an_open_page_says_that_the_system_has_ended_and_keeps_what_it_showed(
    browser: "Browser", system: ConsoleSystem, wrong: list[str]
) -> None:
    page = opened(browser, wrong)
    log_in(page, system)
    system.coordinator.close()
    page.get_by_text("Nobody coordinates the queue").wait_for()
    assert page.locator("#adapters .card").count() == 1
    page.context.close()


def test_an_open_page_says_that_the_console_has_ended_and_keeps_what_it_showed(
    browser: "Browser",
) -> None:
    console: Console = learnt("cars", "dogs")
    page = browser.new_page()
    with ConsoleSite(console.config, store=console.store) as site:
        page.goto(f"{site.url}/adapters/main/versions")
        page.locator("body[data-live]").wait_for()
    page.get_by_text("The console does not answer").wait_for()
    assert page.locator("#v2").is_visible()
    page.close()


def test_what_is_filled_in_and_where_the_keyboard_is_stay_while_a_page_changes(
    browser: "Browser",
) -> None:
    from tests.support.scenes.console import queued
    from workers.queue.ticket import Stage

    console = learnt("cars")
    queued(console.store, "birds", stage=Stage.WAITING)
    page = browser.new_page()
    with ConsoleSite(console.config, store=console.store) as site:
        page.goto(f"{site.url}/queue")
        page.keyboard.press("j")
        page.keyboard.press("x")
        queued(console.store, "boats", stage=Stage.WAITING)
        page.get_by_role("link", name="boats").wait_for()
        assert page.get_by_role("checkbox", name="mark birds-0123456789ab").is_checked()
        assert page.evaluate("document.activeElement.id") == "open-birds-0123456789ab"
        page.keyboard.press("/")
        assert page.evaluate("document.activeElement.id") == "search"
    page.close()
