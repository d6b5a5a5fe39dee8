"""`serve deploy` of the printed document on a Ray without anything, and what happens to it then.

Nothing of nacre is started by nacre here: Ray's own command declares the applications, as KubeRay's
operator does. The GPU of the node that comes later is only declared.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.table import Row
from cluster.config import (
    Config,
    EncodersConfig,
    PlacementConfig,
    RolePlacement,
    ServeConfig,
    WorkersConfig,
)
from cluster.runtime.names import application
from cluster.system.declaration import document
from tests.support.drivers.asker import Asker
from tests.support.drivers.containers import from_outside, wait_until_ready
from tests.support.drivers.image_trial import CLIP_ART, EXAMPLES, ROOT, SKETCHES
from tests.support.drivers.killing import API, CONTROLLER, COORDINATOR, replica
from tests.support.drivers.ray_nodes import RayNode, new_head, new_worker
from tests.support.drivers.s3_server import free_port

TOKEN = "only-for-this-proof"
SERVE = str(Path(sys.executable).parent / "serve")
TIMEOUT_S = 900.0
DIGITS = EXAMPLES / "digits" / "task.yaml"
ENCODER, TRAINER = replica("shard_encoder"), replica("trainer")
WITHOUT_S, STAYS_S = 15.0, 3.0
ENCODING = '"encoding"'


@dataclass(kw_only=True)
class Declared:
    """A Ray, and what was declared on it.

    Attributes:
        folder: Of the store, the documents and the token.
        head: Ray's head.
        config: What the document that was declared last says.
    """

    folder: Path
    head: RayNode
    config: Config

    @property
    def dashboard(self) -> str:
        """Where Serve's documents are declared."""
        return f"http://127.0.0.1:{self.head.dashboard}"

    @property
    def token_file(self) -> Path:
        """The token that everything is asked with."""
        return self.folder / "token"

    def deploy(self, config: Config) -> None:
        """Call `serve deploy` with the document of a configuration.

        Raises:
            RuntimeError: it is refused.
        """
        self.declare(document(config))
        self.config = config

    def declare(self, wanted: Mapping[str, Any]) -> None:
        """Call `serve deploy` with a document.

        Raises:
            RuntimeError: it is refused.
        """
        file = self.folder / "serve.yaml"
        file.write_text(yaml.safe_dump(wanted))
        done = subprocess.run(
            [SERVE, "deploy", str(file), "--address", self.dashboard],
            env={**os.environ, **self.head.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"serve deploy ended with {done.returncode}: {done.stderr[-3000:]}")

    def wait_until_up(self) -> float:
        """Return after how many seconds all that was declared last runs.

        Raises:
            TimeoutError: it does not; with the state of each.
        """
        begun, wanted = time.monotonic(), len(document(self.config)["applications"])
        states: dict[str, str] = {}
        since: float | None = None
        while time.monotonic() - begun < TIMEOUT_S:
            states = self.states()
            if len(states) == wanted and set(states.values()) == {"RUNNING"}:
                since = since or time.monotonic()
                # Right after a change Serve still tells how it was before.
                if time.monotonic() - since >= STAYS_S:
                    return since - begun
            else:
                since = None
            if "DEPLOY_FAILED" in states.values():
                raise RuntimeError(f"Serve has given up: {states}: {self.said()[-3000:]}")
            time.sleep(0.25)
        raise TimeoutError(f"not all runs after {TIMEOUT_S:g} s: {states}")

    def states(self) -> dict[str, str]:
        """Return the state of each application, as Ray's dashboard tells it."""
        try:
            found = httpx.get(f"{self.dashboard}/api/serve/applications/", timeout=30.0)
            return {
                name: each["status"] for name, each in found.json().get("applications", {}).items()
            }
        except (httpx.HTTPError, ValueError):
            return {}

    def said(self) -> str:
        """Return all that Serve says of what is declared."""
        return httpx.get(f"{self.dashboard}/api/serve/applications/", timeout=30.0).text

    def nacre(self, *words: str) -> str:
        """Call `nacre` of this checkout on the system, from outside."""
        return from_outside(self.config.endpoint, self.token_file, *words)


def declared() -> Iterator[Row]:
    """Declare a system by Ray's own command; change it, give it a GPU, and lose its head."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "NACRE_TOKEN": TOKEN,
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory(prefix="nacre-", dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "token").touch(mode=0o600)
        (folder / "token").write_text(TOKEN)
        head = new_head(environment, cpus=4, dashboard=free_port())
        config = Config(
            store=f"file://{folder / 'store'}",
            serve=ServeConfig(port=free_port(), console=True),
            workers=WorkersConfig(encoders=EncodersConfig(min=0, max=1, idle_s=5)),
        )
        system = Declared(folder=folder, head=head, config=config)
        nodes = [head]
        try:
            yield from _begun(system)
            with _asked(system) as asker:
                yield from _declared_again(system, asker)
                yield from _mistaken(system, asker)
                yield from _changed(system, asker)
                yield from _given_a_gpu(system, asker, nodes)
                yield from _head_lost(system, asker, nodes)
        finally:
            for node in reversed(nodes):
                node.die()


def _begun(system: Declared) -> Iterator[Row]:
    print("`serve deploy` on a Ray without anything", flush=True)
    begun = time.monotonic()
    system.head.start()
    yield Row(figure="Ray's head: there after", value=time.monotonic() - begun, unit="s")
    system.deploy(system.config)
    count = len(document(system.config)["applications"])
    yield Row(
        figure=f"`serve deploy`: all {count} applications run after",
        value=system.wait_until_up(),
        unit="s",
    )
    wait_until_ready(system.config.endpoint)
    begun = time.monotonic()
    system.nacre("submit", str(CLIP_ART[0]), "--wait")
    yield Row(figure="first task published after", value=time.monotonic() - begun, unit="s")


@contextmanager
def _asked(system: Declared) -> Iterator[Asker]:
    images = sorted(CLIP_ART[1].iterdir())
    asker = Asker(url=system.config.endpoint, token=TOKEN, images=images)
    thread = threading.Thread(target=asker.ask, daemon=True)
    thread.start()
    try:
        asker.wait_until_answered()
        yield asker
    finally:
        asker.end()
        thread.join(timeout=70.0)


def _declared_again(system: Declared, asker: Asker) -> Iterator[Row]:
    print("the same document again, and Serve's controller killed", flush=True)
    titles = (API, TRAINER, COORDINATOR)
    before = {title: system.head.pids(title) for title in titles}
    system.deploy(system.config)
    system.wait_until_up()
    again = {title: system.head.pids(title) for title in titles}
    yield Row(
        figure="declared again without a change: processes",
        value="the same" if again == before else f"{again}, before {before}",
        bar="the same",
        holds=again == before and all(before.values()),
    )
    killed = system.head.kill(CONTROLLER)
    _wait_until(lambda: killed not in (pids := system.head.pids(CONTROLLER)) and bool(pids))
    system.wait_until_up()
    asker.wait_until_answered(timeout_s=TIMEOUT_S)
    after = {title: system.head.pids(title) for title in titles}
    yield Row(
        figure="Serve's controller killed: processes",
        value="the same" if after == before else f"{after}, before {before}",
        bar="the same",
        holds=after == before,
    )
    yield from _without_loss(asker, "meanwhile")


def _mistaken(system: Declared, asker: Asker) -> Iterator[Row]:
    print("a document with a misspelt key, and the right one again", flush=True)
    replicas = system.head.pids(API)
    wrong = document(system.config)
    (api,) = (each for each in wrong["applications"] if each["name"] == application("api"))
    api["args"]["config"]["serve"] = {**api["args"]["config"]["serve"], "prot": 80}
    system.declare(wrong)
    refused = _wait_until(lambda: system.states().get(application("api")) == "DEPLOY_FAILED")
    told = "prot" in system.said()
    yield Row(
        figure="a misspelt key: refused, and named by Serve",
        value="yes" if refused and told else f"refused: {refused}, named: {told}",
        bar="yes",
        holds=refused and told,
    )
    asker.wait_until_answered(timeout_s=TIMEOUT_S)
    system.deploy(system.config)
    _wait_until(lambda: system.states().get(application("api")) != "DEPLOY_FAILED")
    system.wait_until_up()
    stayed = system.head.pids(API) == replicas
    yield Row(
        figure="replicas, once the right one is declared again",
        value="the same" if stayed else "others",
        bar="the same",
        holds=stayed,
    )
    yield from _without_loss(asker, "meanwhile")


def _changed(system: Declared, asker: Asker) -> Iterator[Row]:
    print("the same document with other arguments, while somebody asks", flush=True)
    replicas, trainers = (system.head.pids(title) for title in (API, TRAINER))
    timeout_s = system.config.serve.timeout_s + 7
    begun = time.monotonic()
    system.deploy(replace(system.config, serve=replace(system.config.serve, timeout_s=timeout_s)))
    gone = _wait_until(lambda: not set(system.head.pids(API)) & set(replicas))
    yield Row(
        figure="arguments changed: replicas of before are gone after",
        value=time.monotonic() - begun,
        unit="s",
        bar="they are",
        holds=gone,
    )
    system.wait_until_up()
    asker.wait_until_answered()
    stayed = system.head.pids(TRAINER) == trainers != []
    yield Row(
        figure="trainers, which do not read that key",
        value="the same" if stayed else "others",
        bar="the same",
        holds=stayed,
    )
    yield from _without_loss(asker, "while arguments changed")


def _given_a_gpu(system: Declared, asker: Asker, nodes: list[RayNode]) -> Iterator[Row]:
    print("encoders are to have a GPU; the node with one comes later", flush=True)
    placement = PlacementConfig(shard_encoder=RolePlacement(gpus=1))
    system.deploy(replace(system.config, placement=placement))
    yield Row(
        figure="GPUs asked for where there are none: all applications run after",
        value=system.wait_until_up(),
        unit="s",
    )
    system.nacre("submit", str(SKETCHES))
    # Nothing tells that something will not happen; so long the backlog has been seen for sure.
    time.sleep(WITHOUT_S)
    waiting = ENCODING in system.nacre("status", "--output", "json")
    running = len(system.head.pids(ENCODER))
    yield Row(
        figure=f"encoders without a GPU after {WITHOUT_S:g} s with something to embed",
        value=f"{running}, and it {'waits' if waiting else 'does not wait'}",
        bar="0, and it waits",
        holds=waiting and not running,
    )
    begun = time.monotonic()
    node = new_worker(system.head, cpus=1, gpus=1).start()
    nodes.append(node)
    begun_there = _wait_until(lambda: bool(node.pids(ENCODER)))
    yield Row(
        figure="a node with a GPU joins: an encoder on it after",
        value=time.monotonic() - begun,
        unit="s",
        bar="there is one",
        holds=begun_there,
    )
    system.nacre("submit", str(SKETCHES), "--wait")
    yield Row(figure="what waited for it published after", value=time.monotonic() - begun, unit="s")
    ended = _wait_until(lambda: not node.pids(ENCODER))
    yield Row(
        figure="encoders when there is nothing to do",
        value=len(node.pids(ENCODER)),
        bar="0",
        holds=ended,
    )
    yield from _without_loss(asker, "while a node came")


def _head_lost(system: Declared, asker: Asker, nodes: list[RayNode]) -> Iterator[Row]:
    print("the head is lost while it learns", flush=True)
    system.nacre("submit", str(DIGITS))
    lost = time.monotonic()
    for node in reversed(nodes):
        node.die()
    # As an operator does: nodes in their place, and the same document.
    system.head.start()
    nodes[1:] = [new_worker(system.head, cpus=1, gpus=1).start()]
    _wait_until(lambda: _can_deploy(system))
    system.wait_until_up()
    yield Row(
        figure="head lost: new nodes, the document again, all runs after",
        value=time.monotonic() - lost,
        unit="s",
    )
    asker.wait_until_answered()
    yield Row(figure="whoever asks is answered after", value=time.monotonic() - lost, unit="s")
    yield Row(figure="requests that failed meanwhile, of one client", value=len(asker.failed))
    asker.failed.clear()
    system.nacre("submit", str(DIGITS), "--wait")
    yield Row(
        figure="what was being learnt published after", value=time.monotonic() - lost, unit="s"
    )
    versions = len(json.loads(system.nacre("versions", "--output", "json")))
    yield Row(
        figure="versions of the three tasks",
        value=versions,
        bar="3",
        holds=versions == 3,
    )


def _can_deploy(system: Declared) -> bool:
    try:
        system.deploy(system.config)
    except RuntimeError:
        return False
    return True


def _without_loss(asker: Asker, when: str) -> Iterator[Row]:
    yield Row(
        figure=f"requests failed {when}, of {asker.answered:,} so far",
        value=", ".join(how for _, how in asker.failed) or "none",
        bar="none",
        holds=not asker.failed,
    )
    asker.failed.clear()


def _wait_until(condition: Callable[[], bool]) -> bool:
    """Wait until something holds, at most so long, and return whether it does."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.25)
    return True
