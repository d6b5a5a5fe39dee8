"""The roles as Ray actors: each builds its role from the configuration and passes calls through.

Methods that take long are generators, so that Ray streams their progress to the caller. Actors
restart by themselves; what they had finished is in the store.
"""

import asyncio
import threading
from collections.abc import Iterator

import ray
import torch

from cluster.config import Config
from cluster.crew import RayCrew
from cluster.stores import open_store
from cluster.versions import open_versions
from workers.compressor import Compressor
from workers.coordinator import Coordinator
from workers.embedding import Embedder
from workers.encoder import Encoder
from workers.publisher import Publisher
from workers.queue import Queue
from workers.submission import Shard, Submission
from workers.trainer import Trainer
from workers.views import Views

# Small shares let everything fit on two cores; the operating system shares them out.
CPU_SHARE = 0.1
NAMESPACE = "nacre"


def device() -> str:
    """Return where tensors go: the GPU that Ray gave this actor, if any."""
    return "cuda" if ray.get_gpu_ids() and torch.cuda.is_available() else "cpu"


@ray.remote(num_cpus=CPU_SHARE, max_restarts=-1)
class EncoderActor:
    """Embeds shards."""

    def __init__(self, config: Config) -> None:
        torch.set_num_threads(config.workers.threads)
        self._encoder = Encoder(config.encoder, device=device())
        self._embedder = Embedder(self._encoder, open_store(config.store))

    def fingerprint(self) -> str:
        """Return the encoder's fingerprint."""
        return self._encoder.fingerprint

    def embed(self, shard: Shard, views: Views) -> Iterator[int]:
        """See `Embedder.embed`."""
        yield from self._embedder.embed(shard, views)


@ray.remote(num_cpus=CPU_SHARE, max_restarts=-1)
class TrainerActor:
    """Learns tasks; holds the frozen text tower."""

    def __init__(self, config: Config) -> None:
        torch.set_num_threads(config.workers.threads)
        store = open_store(config.store)
        encoder = Encoder(config.encoder, device=device())
        self._method = config.method
        self._trainer = Trainer(encoder, store, open_versions(config))

    def train(self, submission: Submission) -> Iterator[tuple[int, int]]:
        """See `Trainer.train`."""
        yield from self._trainer.train(submission, self._method)


@ray.remote(num_cpus=CPU_SHARE, max_restarts=-1)
class MixtureActor:
    """Compresses class distributions."""

    def __init__(self, config: Config, fingerprint: str) -> None:
        torch.set_num_threads(config.workers.threads)
        self._method = config.method
        self._compressor = Compressor(open_store(config.store), fingerprint=fingerprint)

    def compress(self, submission: Submission) -> None:
        """See `Compressor.compress`."""
        self._compressor.compress(submission, self._method)


@ray.remote(num_cpus=CPU_SHARE, max_restarts=-1)
class RegistryActor:
    """Measures and publishes versions."""

    def __init__(self, config: Config) -> None:
        torch.set_num_threads(config.workers.threads)
        store = open_store(config.store)
        encoder = Encoder(config.encoder, device=device())
        self._publisher = Publisher(encoder, store, open_versions(config))

    def published_as(self, submission: Submission) -> int | None:
        """See `Publisher.published_as`."""
        return self._publisher.published_as(submission)

    def publish(self, submission: Submission, now: float) -> int:
        """See `Publisher.publish`."""
        return self._publisher.publish(submission, now=now)


@ray.remote(num_cpus=0, max_restarts=-1)
class CoordinatorActor:
    """Runs the coordinator's loop in a thread of its own, so that it goes on after a restart."""

    # Owns: the thread, and through it the coordinator.

    def __init__(self, config: Config, crew: tuple[str, ...]) -> None:
        """Find the actors called `crew`: trainer, mixtures, registry, then the encoders."""
        # Names instead of handles: a restart must not depend on objects of whoever started it.
        trainer, mixture, registry, *encoders = (
            ray.get_actor(name, namespace=NAMESPACE) for name in crew
        )
        self._coordinator = Coordinator(
            open_store(config.store),
            RayCrew(encoders=encoders, trainer=trainer, mixture=mixture, registry=registry),
            queue=Queue(encode_ahead=config.workers.encode_ahead),
            poll_s=config.workers.poll_s,
        )
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._coordinator.run()), name="coordinator", daemon=True
        )
        self._thread.start()

    def alive(self) -> bool:
        """Return whether the loop runs."""
        return self._thread.is_alive()
