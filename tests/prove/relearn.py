"""The proof of another encoder: `make prove-relearn`.

The five examples are learnt under `tiny`, and anew under `tiny-vit` while clients ask all the time;
the coordinator is killed on the way. Then the adapter goes over to the new versions, and back. No
request may fail, and every answer must name the class that its version answers.
"""

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import httpx
import yaml

from adapters.errors import UnavailableError
from benchmarks.table import Row, report
from cluster.cli.running import start_detached, stop_running
from cluster.client.client import Client
from cluster.client.remote_client import RemoteClient
from cluster.config import load_config, set_home
from cluster.examples import EXAMPLES, TASKS
from cluster.wire.versions import RelearntAdapter
from tests.support.drivers.killing import COORDINATOR
from tests.support.drivers.ray_nodes import kill_youngest
from tests.support.drivers.s3_server import free_port
from workers.queue.ticket import Stage
from workers.tasks.submission import SHARDS

ENCODER = "tiny-vit"
CLIENTS = 2
PICTURES_PER_TASK = 4
AROUND_S = 10.0
"""How long clients go on asking before and after each move."""
WAIT_S = 1800.0

Answers = Mapping[str, Mapping[int, str]]
"""By the label of a version, what it answers about each picture."""


@dataclass(kw_only=True)
class Load:
    """What clients were answered.

    Attributes:
        url: Who is asked.
        pictures: What is asked about.
        answered: When an answer came, how long it took, by which version, about which picture, and
            what it was.
        failed: What came instead of an answer.
    """

    # Owns: both lists, which threads append to.

    url: str
    pictures: Sequence[bytes]
    answered: list[tuple[float, float, str, int, str]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @contextmanager
    def asking(self, clients: int) -> Iterator[None]:
        """Ask all the time, each client for itself and without asking again."""
        over = threading.Event()
        threads = [
            threading.Thread(target=self._ask, args=(number, over)) for number in range(clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _ask(self, first: int, over: threading.Event) -> None:
        with httpx.Client(timeout=60.0) as http:
            for number in islice(cycle(range(len(self.pictures))), first, None):
                if over.is_set():
                    return
                began = time.monotonic()
                try:
                    version, found = asked(http, self.url, self.pictures[number])
                except (httpx.HTTPError, ValueError) as error:
                    self.failed.append(f"{type(error).__name__}: {error}")
                    continue
                now = time.monotonic()
                self.answered.append((now, now - began, version, number, found))

    def wrong(self, expected: Answers) -> int:
        """Return how many answers are not those of the version that they name."""
        return sum(
            expected.get(version, {}).get(number) != found
            for _, _, version, number, found in self.answered
        )

    def last_of(self, label: str) -> float:
        """Return when a version answered last, by the monotonic clock."""
        return max((at for at, _, version, _, _ in self.answered if version == label), default=0.0)

    def first_of(self, label: str, *, after: float) -> float:
        """Return when a version answered first after a time."""
        times = (at for at, _, version, _, _ in self.answered if version == label and at > after)
        return min(times, default=float("inf"))


def asked(http: httpx.Client, url: str, picture: bytes, pinned: str = "") -> tuple[str, str]:
    """Return which version answers about a picture, and the class that it names.

    Raises:
        httpx.HTTPError: there is no answer.
    """
    at = f"/v1/adapters/main@{pinned}/predict" if pinned else "/v1/predict"
    answer = http.post(f"{url}{at}", files={"images": ("one.png", picture)})
    answer.raise_for_status()
    document = answer.json()
    return document["version"], document["results"][0]["predictions"][0]["class_id"]


def pictures() -> list[bytes]:
    """Return some test images of each example."""
    return [
        path.read_bytes()
        for name in TASKS
        for path in islice(sorted((EXAMPLES / name / "test").glob("*/00.png")), PICTURES_PER_TASK)
    ]


def learnt(client: Client, names: Sequence[str]) -> float:
    """Wait until submissions are published, and return how many seconds that took."""
    began = time.monotonic()
    for name in names:
        *_, last = client.watch(name, timeout_s=WAIT_S)
        if last.ticket.stage is not Stage.PUBLISHED:
            raise UnavailableError(f"{name} is {last.ticket.stage}: {last.ticket.error}")
    return time.monotonic() - began


def relearnt(client: Client, pid: int) -> tuple[RelearntAdapter, float, bool]:
    """Learn the adapter anew, and kill the coordinator when a part of it is there.

    Returns:
        What was asked over HTTP; seconds until it was done; whether asking once more over the store
        gives nothing new.
    """
    with RemoteClient(client.config, url=client.config.endpoint) as remote:
        asked_for = remote.relearn(ENCODER)
    first, *others = asked_for.submissions
    took = learnt(client, [first])
    kill_youngest(pid, COORDINATOR)
    again = client.relearn(ENCODER).submissions
    return asked_for, took + learnt(client, others), again == ()


def expected_of(url: str, shown: Sequence[bytes], versions: Sequence[str]) -> Answers:
    """Return what versions answer about pictures when they are asked for by number."""
    with httpx.Client(timeout=60.0) as http:
        pairs = [[asked(http, url, picture, pinned) for picture in shown] for pinned in versions]
    return {found[0][0]: dict(enumerate(each for _, each in found)) for found in pairs}


def moved(load: Load, move: Callable[[], object], *, to: str) -> tuple[float, float]:
    """Let an adapter go over to a version under load.

    Returns:
        Seconds that the move took, and until the last answer of another version after it.
    """
    time.sleep(AROUND_S)
    began = time.monotonic()
    move()
    done = time.monotonic()
    time.sleep(AROUND_S)
    others = {version for _, _, version, _, _ in load.answered} - {to}
    late = max((load.last_of(each) for each in others), default=0.0)
    return done - began, max(0.0, late - done)


def proof(folder: Path) -> list[Row]:
    """Return what was found."""
    config_path = folder / "nacre.yaml"
    store = f"file://{folder / 'store'}"
    serve = {"port": free_port(), "replicas": {"min": 2, "max": 2}}
    config_path.write_text(yaml.safe_dump({"store": store, "serve": serve}))
    running = start_detached(config_path)
    client = Client(load_config(config_path))
    names = [
        client.submit(EXAMPLES / name / "task.yaml").submission.submission_id for name in TASKS
    ]
    first_s = learnt(client, names)
    old, shown = f"main@{len(TASKS)}", pictures()
    load = Load(url=running.endpoint, pictures=shown)
    with load.asking(CLIENTS):
        asked_for, second_s, same = relearnt(client, running.pid)
        new = f"main@{client.aliases()[ENCODER]}"
        over = moved(load, lambda: client.promote(ENCODER, with_head=True, why="proof"), to=new)
        back = moved(load, lambda: client.rollback(len(TASKS), why="proof"), to=old)
    expected = expected_of(running.endpoint, shown, [each.split("@")[1] for each in (old, new)])
    wrong, latencies = load.wrong(expected), [took for _, took, _, _, _ in load.answered]
    served = {version for _, _, version, _, _ in load.answered}
    compared = client.diff(len(TASKS), ENCODER)
    kept = sum(listed.size_bytes for listed in client.store.list(SHARDS))
    whole = [task.task for task in client.show(ENCODER).manifest.tasks] == list(TASKS)
    for line in load.failed[:5]:
        print(line)
    return [
        Row(figure="images", value=asked_for.images),
        Row(figure="kept for each", value=kept / asked_for.images, unit="bytes"),
        Row(figure="five tasks under tiny", value=first_s, unit="s"),
        Row(figure=f"the same under {ENCODER}, coordinator killed", value=second_s, unit="s"),
        Row(
            figure="asked again over the store",
            value="nothing new" if same else "MORE",
            bar="nothing new",
            holds=same,
        ),
        Row(figure="tasks in their order", value="yes" if whole else "no", bar="yes", holds=whole),
        *(
            Row(
                figure=f"accuracy on {each.task}",
                value=f"{each.before or 0:.1%} → {each.after or 0:.1%}",
            )
            for each in compared.accuracies
        ),
        Row(figure="answers", value=len(load.answered)),
        Row(figure="p50", value=1000 * statistics.median(latencies), unit="ms"),
        Row(figure="longest", value=1000 * max(latencies), unit="ms"),
        Row(figure="gone over in", value=over[0], unit="s"),
        Row(figure="last answer of the old version after that", value=over[1], unit="s"),
        Row(figure="gone back in", value=back[0], unit="s"),
        Row(
            figure="versions that answered",
            value=", ".join(sorted(served)),
            bar=f"{old}, {new}",
            holds=served == {old, new},
        ),
        Row(figure="failed", value=len(load.failed), bar="0", holds=not load.failed),
        Row(figure="not of the version named", value=wrong, bar="0", holds=wrong == 0),
    ]


def main() -> int:
    """Run the proof, print what was found, and return 0 when all of it holds."""
    with tempfile.TemporaryDirectory() as name:
        set_home(Path(name) / "home")
        try:
            return report("prove-relearn", proof(Path(name)))
        finally:
            stop_running()


if __name__ == "__main__":
    sys.exit(main())
