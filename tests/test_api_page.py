"""The page of the public names: it is what its script makes, and its examples do what they say."""

import ast
import asyncio
import doctest
import inspect
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import nacre
from cluster.config import Config
from docs.api import PAGE, page
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.learning import carried_out, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.store import FileStore

EXAMPLES = Path(__file__).parents[1] / "cluster" / "examples"
LEARNT = ("digits", "fashion", "sketched-nature")
METHOD = "nearest_mean"
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def examples() -> list[Any]:
    """Return the page's examples, each called by the heading that it stands under."""
    text = PAGE.read_text()
    return [
        pytest.param(found[1], id=HEADING.findall(text[: found.start()])[-1])
        for found in EXAMPLE.finditer(text)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with a configuration, a task and a photo, while a replica answers."""
    folder = tmp_path_factory.mktemp("examples")
    store = FileStore(folder / "store")
    tasks = [task_of(name, folder) for name in LEARNT]
    submissions = [
        submitted(store, path, now=float(n), method=METHOD) for n, path in enumerate(tasks, 1)
    ]
    carried_out(store, Encoder(EncoderSettings()), *submissions, method=METHOD)
    shutil.copytree(task_of("clip-art", folder).parent, folder, dirs_exist_ok=True)
    shutil.copy(EXAMPLES / "fashion" / "test" / "bag" / "00.png", folder / "photo.jpg")
    with ApiServer(Config(store=store.url)) as server:
        serve = {"port": int(server.url.rsplit(":", 1)[1])}
        written = {"store": store.url, "serve": serve, "adapters": {"*": {"method": METHOD}}}
        (folder / "nacre.yaml").write_text(yaml.safe_dump(written))
        yield folder


def task_of(name: str, folder: Path) -> Path:
    """Return a small task out of an example, without settings of another method."""
    path = small_task(EXAMPLES, folder, name, classes=2, images=4)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "settings": {}}))
    return path


@pytest.fixture
def names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Return what an example may name, and work in the folder of `folder`."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NACRE_HOME", str(folder / "home"))
    for variable in ("NACRE_STORE", "NACRE_CONFIG", "NACRE_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    public = {name: getattr(nacre, name) for name in nacre.__all__}
    names = {**public, "nacre": nacre, "asyncio": asyncio, "paths": ["photo.jpg"] * 2}
    yield names
    if isinstance(names.get("client"), nacre.Client):
        names["client"].close()


def test_the_page_is_what_its_script_makes() -> None:
    assert PAGE.read_text() == page(), "docstrings have changed: run `make docs`"


def test_the_page_has_every_public_name() -> None:
    text = PAGE.read_text()
    assert [
        name for name in nacre.__all__ if f"## {name}\n" not in text and f"`{name}`" not in text
    ] == []


@pytest.mark.parametrize("example", examples())
def test_an_example_does_what_it_says(example: str, names: dict[str, Any]) -> None:
    if ">>>" in example:
        run_dialogue(example, names)
    else:
        run_program(example, names)


def run_dialogue(example: str, names: dict[str, Any]) -> None:
    """Run an example with answers, and compare these with what it gives."""
    said: list[str] = []
    test = doctest.DocTestParser().get_doctest(example, names, "docs/api.md", None, None)
    found = doctest.DocTestRunner(verbose=False).run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert found.failed == 0, "".join(said)


def run_program(example: str, names: dict[str, Any]) -> None:
    """Run an example, which may wait for what an event loop does."""
    code = compile(example, "docs/api.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    ran = eval(code, names)
    if inspect.iscoroutine(ran):
        asyncio.run(ran)
