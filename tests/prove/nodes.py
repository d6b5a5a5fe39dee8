"""The proof of the queue on several nodes: `make prove-nodes`.

One head and three nodes, two of which declare a GPU. Encoders live on those two alone; their pool
grows with the backlog and shrinks after it; a GPU node that dies in the middle costs time and
nothing else. The encoder's forward is a fixed wait, since the GPUs are only declared.
"""

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.table import Row, report
from cluster.client.client import Client
from cluster.config import (
    Config,
    EncodersConfig,
    PlacementConfig,
    RolePlacement,
    ServeConfig,
    WorkersConfig,
)
from tests.support.drivers.killing import replica
from tests.support.drivers.queue_tasks import expected_digests, write_tasks
from tests.support.drivers.queue_trial import problems
from tests.support.drivers.ray_nodes import RayNode, new_head, new_worker
from tests.support.drivers.s3_server import free_port
from tests.support.fakes.waiting_encoder import WaitingEncoder
from workers.encoding.encoder_settings import EncoderSettings
from workers.queue.ticket import ENDED

EXAMPLES = Path(__file__).parents[2] / "cluster" / "examples"
TIMEOUT_S = 900.0
ENCODER = replica("shard_encoder")


def main() -> int:
    """Run the proof, print what was found, and return 0 when all of it holds."""
    torch.set_num_threads(1)
    logging.getLogger("ray").setLevel(logging.ERROR)
    # Nodes of one machine are started from this folder, and find the packages of this checkout.
    here = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with tempfile.TemporaryDirectory() as name:
        head = new_head(here, cpus=2).start()
        nodes = [new_worker(head, cpus=2, gpus=gpus).start() for gpus in (1, 1, 0)]
        try:
            rows = _proof(Path(name), head, nodes)
        finally:
            for node in (*nodes, head):
                node.die()
    return report("prove-nodes", rows)


def _proof(folder: Path, head: RayNode, nodes: list[RayNode]) -> list[Row]:
    from cluster.system import system

    tasks = write_tasks(EXAMPLES, folder / "tasks", images=16)
    expected = expected_digests(WaitingEncoder(EncoderSettings()), tasks)
    config = Config(
        store=f"file://{folder / 'store'}",
        ray=head.address,
        serve=ServeConfig(port=free_port()),
        workers=WorkersConfig(
            encoders=EncodersConfig(min=1, max=4, idle_s=5),
            decoders=1,
            encode_at_once=12,
            encode_at_once_per_adapter=6,
        ),
        placement=PlacementConfig(shard_encoder=RolePlacement(gpus=0.5)),
    )
    system.connect(config)
    system.start(config, encoder=WaitingEncoder)
    client = Client(config)
    gpu_nodes = nodes[:2]
    begun_with = _encoders(gpu_nodes)
    for task in tasks:
        client.submit(task)
    largest = _wait_for(lambda: _encoders(gpu_nodes) >= 3, lambda: _encoders(gpu_nodes))
    elsewhere = _encoders([head, nodes[2]])
    gpu_nodes[1].die()
    _wait_for(lambda: _ended(client) == len(tasks), lambda: _ended(client))
    found = list(problems(client.store, tasks=len(tasks), expected=expected))
    for problem in found:
        print(problem, flush=True)
    shrunk = _wait_for(lambda: _encoders(gpu_nodes) <= 1, lambda: _encoders(gpu_nodes))
    system.stop()
    return [
        Row(figure="encoders before", value=begun_with, bar="1", holds=begun_with == 1),
        Row(figure="encoders at most", value=largest, bar="at least 3", holds=largest >= 3),
        Row(
            figure="encoders on nodes without a GPU",
            value=elsewhere,
            bar="none",
            holds=elsewhere == 0,
        ),
        Row(figure="encoders after", value=shrunk, bar="1", holds=shrunk == 1),
        Row(figure="nodes that died", value=1),
        Row(figure="tasks", value=len(tasks)),
        Row(
            figure="lost, doubled, out of order or different",
            value=len(found),
            bar="none",
            holds=not found,
        ),
    ]


def _encoders(nodes: list[RayNode]) -> int:
    return sum(len(node.pids(ENCODER)) for node in nodes)


def _ended(client: Client) -> int:
    return sum(state.ticket.stage in ENDED for state in client.queue().states)


def _wait_for(condition: Callable[[], bool], value: Callable[[], int]) -> int:
    """Wait until `condition` holds, at most so long, and return the value then."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.5)
    return value()


if __name__ == "__main__":
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    sys.exit(main())
