"""A page as a real browser shows it."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT = 1200, 2400
TRIES, TIMEOUT_S = 3, 180.0
"""A browser whose time is not the clock's may wait for itself where its processes starve."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # Nothing but this machine can be reached; what scripts begin has five seconds of their time.
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--virtual-time-budget=5000",
)


def colors_shown(page: Path | str, folder: Path) -> set[tuple[int, int, int]]:
    """Return the colours of a screenshot of `page`; without a browser, fail in CI, skip elsewhere.

    Args:
        page: An HTML file, or an address.
        folder: Where the browser and the screenshot may write.
    """
    shot = folder / "page.png"
    _open(page, folder, f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}")
    with Image.open(shot) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    return {(int(red), int(green), int(blue)) for red, green, blue in np.unique(pixels, axis=0)}


def text_shown(page: str, folder: Path) -> str:
    """Return the HTML of `page` once the browser stays there; arguments as above."""
    return _open(page, folder, "--dump-dom")


def shades_of_the_heat_map(colors: set[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    """Return the colours between white and deep blue."""
    return {color for color in colors if color[2] > color[1] > color[0] and color[2] > 128}


def _open(page: Path | str, folder: Path, *flags: str) -> str:
    address = page if isinstance(page, str) else page.as_uri()
    for tries_left in reversed(range(TRIES)):
        profile = f"--user-data-dir={folder / f'profile-{tries_left}'}"
        command = [browser_path(), *FLAGS, profile, *flags, address]
        try:
            done = subprocess.run(
                command, check=True, capture_output=True, timeout=TIMEOUT_S, text=True
            )
        except subprocess.TimeoutExpired:
            if not tries_left:
                raise
        else:
            return done.stdout
    raise AssertionError


def browser_path() -> str:
    """Return where the browser is; without one, fail in CI, skip elsewhere."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (path := shutil.which(name)) is not None:
            return path
    if os.environ.get("CI"):
        pytest.fail("no Chromium; CI installs the package `chromium`")
    pytest.skip("no Chromium on the PATH")
