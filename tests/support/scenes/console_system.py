"""A whole system without Ray, and its console: coordinator and crew, one replica, two versions."""

import io
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from cluster.api.access.requesters import Access
from cluster.config import Config, ServeConfig
from cluster.stores.open import open_store
from tests.support.drivers.api_server import ApiServer
from tests.support.drivers.console_site import ConsoleSite
from tests.support.drivers.learning import SETTINGS, published_by_hand, small_task, submitted
from tests.support.drivers.s3_server import free_port
from workers.access.kept_tokens import create_token
from workers.access.roles import AccessRole
from workers.coordination.local_coordinator import coordinating
from workers.encoding.encoder import Encoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.store import ObjectStore

MINUTE_S = 60.0
LEARNT = ("fashion", "digits")


@dataclass(frozen=True, kw_only=True)
class ConsoleSystem:
    """A running system and its console.

    Attributes:
        site: The console.
        config: Of the system.
        store: Its store.
        token: Of somebody who may do everything.
        archive: A tar of `clip-art`, which was not learnt yet.
        bag: A picture of what the first version knows.
        zero: A picture of what the second one knows besides.
        submissions: Of what was learnt.
        coordinator: Ends what coordinates, when it is closed.
    """

    site: ConsoleSite
    config: Config
    store: ObjectStore
    token: str
    archive: Path
    bag: Path
    zero: Path
    submissions: tuple[str, ...]
    coordinator: ExitStack


@contextmanager
def console_system(
    examples: Path, folder: Path, *, classes: int = 2, locked: bool = True
) -> Iterator[ConsoleSystem]:
    """Give a system that has learnt two tasks, one version each.

    Args:
        examples: The example tasks.
        folder: Where its store may be.
        classes: Of each task.
        locked: Whether people log in.
    """
    torch.set_num_threads(1)
    config = Config(
        store=f"file://{folder}/store", serve=ServeConfig(port=free_port(), poll_s=0.05, decoders=1)
    )
    store, encoder = open_store(config.store), Encoder(EncoderSettings())
    begun, submissions = time.time() - 60 * MINUTE_S, []
    for number, name in enumerate(LEARNT):
        task = small_task(examples, folder, name, classes=classes)
        learnt = submitted(store, task, now=begun + 20 * number * MINUTE_S)
        submissions.append(learnt.submission_id)
        with ThreadPoolExecutor(1) as thread:  # it has an event loop of its own
            thread.submit(published_by_hand, store, encoder, learnt).result()
    secret = create_token(
        store, "anna", {"*": AccessRole.ADMIN}, by="tests", now=begun, lifetime="never"
    ).secret
    small_task(examples, folder, "clip-art", classes=classes)
    access = Access(change_token="everything") if locked else Access()
    with ExitStack() as coordinator, ExitStack() as rest:
        coordinator.enter_context(coordinating(store, encoder))
        rest.enter_context(ApiServer(config, port=config.serve.port))
        site = rest.enter_context(ConsoleSite(config, access=access, store=store))
        yield ConsoleSystem(
            site=site,
            config=config,
            store=store,
            token=secret,
            archive=_packed(folder / "clip-art"),
            bag=_picture(folder / "fashion"),
            zero=_picture(folder / "digits"),
            submissions=tuple(submissions),
            coordinator=coordinator,
        )


def _packed(task: Path) -> Path:
    """Return a tar of a task's folder, with its settings in a task file that nobody reads."""
    path = task.parent / "images.tar"
    with tarfile.open(path, "w") as tar:
        for split in ("train", "test"):
            tar.add(task / split, split)
        content = str(SETTINGS).encode()
        member = tarfile.TarInfo("notes.txt")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def _picture(task: Path) -> Path:
    return next(path for path in sorted((task / "test").rglob("*")) if path.is_file())
