"""Scripts and styles: what comes from others is what it says, and nothing comes from elsewhere."""

import hashlib
import json
import re
from pathlib import Path

import cluster.console
from cluster.console.shown.static import static_files

FOLDER = Path(cluster.console.__file__).parent / "static"
MOST_SCRIPT_BYTES = 50_000


def test_what_comes_from_others_is_what_its_manifest_says() -> None:
    vendored = json.loads((FOLDER / "vendored.json").read_text())
    for name, entry in vendored.items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == entry["sha256"]
        assert entry.keys() == {"name", "version", "licence", "from", "sha256"}
    own = {"console.js", "console.css", "icon.svg", "vendored.json"}
    assert {path.name for path in FOLDER.iterdir()} == own | vendored.keys()


def test_scripts_are_small_and_need_no_eval() -> None:
    scripts = [content for name, (_, content) in static_files().items() if name.endswith(".js")]
    assert len(scripts) == 2
    assert sum(map(len, scripts)) < MOST_SCRIPT_BYTES
    assert not [True for script in scripts if re.search(rb"\beval\(|new Function", script)]


def test_no_script_and_no_style_names_another_host() -> None:
    for name, (_, content) in static_files().items():
        found = set(re.findall(rb"https?://[^\s\"'<>]+", content))
        assert found <= {b"http://www.w3.org/2000/svg", b"http://www.w3.org/1999/xhtml"}, name
