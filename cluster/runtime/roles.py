"""The roles as Ray Serve deployments: each builds its role and passes calls through.

Serve starts their processes, restarts them, spreads calls over them, adds and takes away encoders
and decoders with their backlog, and asks Ray for the CPUs and GPUs that they need. What a role has
finished is in the store, so that nothing is lost with a process.

Work that takes long is streamed, so that its caller sees progress; a call that is cancelled stops
between two items.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import torch
from cachetools import LRUCache
from ray import get_gpu_ids, serve

from adapters.contract.canonical import canonical_json
from adapters.contract.mixture import Mixture
from cluster.config import Config
from cluster.runtime.names import API, application
from cluster.runtime.replicas import Replicas
from cluster.stores.open import open_store
from cluster.stores.versions import open_versions
from workers.concurrency.streams import streamed
from workers.encoding.encoder import Encoder
from workers.encoding.encoders import Encoders, PerEncoder, loads_like
from workers.encoding.shard_encoder import ShardEncoder
from workers.images.pixels import Decoder, PixelTransform
from workers.images.views import Views
from workers.learning.crew import Assignment, Begun, Publication
from workers.learning.mixture_fitter import MixtureFitter
from workers.learning.publisher import Publisher
from workers.learning.trainer import Trainer
from workers.store import ObjectStore
from workers.tasks.submission import Shard, Submission


def device() -> str:
    """Return where tensors go: the GPU that Ray gave this process, if any."""
    return "cuda" if get_gpu_ids() and torch.cuda.is_available() else "cpu"


def opened_encoders(
    config: Config, encoder: type[Encoder], store: ObjectStore, *, on: str = "cpu"
) -> Encoders:
    """Return the encoders of a process, of which the configured one is loaded onto a device."""
    loaded = encoder(config.encoder, device=on)
    return Encoders(loaded, store, loads_like(loaded))


@serve.deployment(name="shard_encoder")
class ShardEncoderRole:
    """Embeds shards."""

    # Owns: a shard encoder per encoder; all are frozen.

    def __init__(self, config: Config, encoder: type[Encoder], decoders: Any = None) -> None:
        torch.set_num_threads(config.workers.threads)
        store = open_store(config.store, existing=True)

        def shard_encoder(loaded: Encoder) -> ShardEncoder:
            decode = None if decoders is None else DecodedElsewhere(decoders, loaded.transform)
            return ShardEncoder(loaded, store, decode=decode)

        encoders = opened_encoders(config, encoder, store, on=device())
        self._shard_encoders = PerEncoder(encoders, shard_encoder)

    async def embed(self, shard: Shard, views: Views, fingerprint: str) -> AsyncIterator[int]:
        """See `ShardEncoder.embed`; `fingerprint` names the encoder."""
        found = await asyncio.to_thread(self._shard_encoders.of, fingerprint)
        async for done in streamed(found.embed(shard, views)):
            yield done


class DecodedElsewhere:
    """Has images decoded by the decoders, on CPUs that need not be near the GPU."""

    def __init__(self, decoders: Any, transform: PixelTransform) -> None:
        self._decoders = decoders
        self._config = transform.config

    def __call__(self, files: Sequence[bytes], digests: Sequence[str], views: Views) -> Any:
        return self._decoders.decode.remote(list(files), list(digests), views, self._config)


@serve.deployment(name="decoder")
class DecoderRole:
    """Decodes images for encoders, one CPU each."""

    # Owns: the decoder that was used last.

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._latest: LRUCache[bytes, Decoder] = LRUCache(1)

    async def decode(
        self,
        files: Sequence[bytes],
        digests: Sequence[str],
        views: Views,
        transform: Mapping[str, Any],
    ) -> Any:
        """See `Decoder.decode`; the pixels as an array, which Ray passes on without copying."""
        pixels = await asyncio.to_thread(self._of(transform).decode, files, digests, views)
        return pixels.numpy()

    def _of(self, transform: Mapping[str, Any]) -> Decoder:
        key = canonical_json(transform)
        if key not in self._latest:
            self._latest[key] = Decoder(PixelTransform(transform))
        return self._latest[key]


@serve.deployment(name="trainer")
class TrainerRole:
    """Learns tasks, one at a time; holds the frozen text tower."""

    # Owns: a trainer per encoder.

    def __init__(self, config: Config, encoder: type[Encoder]) -> None:
        torch.set_num_threads(config.workers.threads)
        store = open_store(config.store, existing=True)
        versions = open_versions(config, existing=True)
        encoders = opened_encoders(config, encoder, store, on=device())
        self._trainers = PerEncoder(encoders, lambda loaded: Trainer(loaded, store, versions))

    async def train(self, assignment: Assignment) -> AsyncIterator[tuple[int, int]]:
        """See `Trainer.train`."""
        trainer = await asyncio.to_thread(self._trainers.of, assignment.encoder)
        async for progress in streamed(trainer.train(assignment)):
            yield progress


@serve.deployment(name="mixture_fitter")
class MixtureFitterRole:
    """Compresses class distributions."""

    # Owns: the mixture fitter.

    def __init__(self, config: Config) -> None:
        torch.set_num_threads(config.workers.threads)
        self._fitter = MixtureFitter(open_store(config.store, existing=True))

    async def parts(self, assignment: Assignment, most: int) -> list[range]:
        """See `MixtureFitter.parts`."""
        return await asyncio.to_thread(self._fitter.parts, assignment, most=most)

    async def fit(self, assignment: Assignment, classes: range) -> list[Mixture]:
        """See `MixtureFitter.fit`."""
        return await asyncio.to_thread(self._fitter.fit, assignment, classes)

    async def finish(self, assignment: Assignment, mixtures: Sequence[Mixture]) -> None:
        """See `MixtureFitter.finish`."""
        await asyncio.to_thread(self._fitter.finish, assignment, mixtures)


@serve.deployment(name="publisher")
class PublisherRole:
    """Measures and publishes versions."""

    # Owns: a publisher per encoder.

    def __init__(self, config: Config, encoder: type[Encoder]) -> None:
        torch.set_num_threads(config.workers.threads)
        store = open_store(config.store, existing=True)
        versions = open_versions(config, Replicas(application(API)), existing=True)
        self._encoders = opened_encoders(config, encoder, store)
        self._publishers = PerEncoder(
            self._encoders, lambda loaded: Publisher(loaded, store, versions)
        )

    async def fingerprint(self) -> str:
        """Return the configured encoder's fingerprint."""
        return self._encoders.configured.fingerprint

    async def learnt_under(self, submission: Submission) -> str:
        """See `Publisher.learnt_under`."""
        publisher = await asyncio.to_thread(self._publisher_of, submission)
        return await asyncio.to_thread(publisher.learnt_under, submission)

    async def begin(self, submission: Submission, owner: str, since: int | None) -> Begun:
        """See `Publisher.begin`."""
        publisher = await asyncio.to_thread(self._publisher_of, submission)
        return await asyncio.to_thread(publisher.begin, submission, owner=owner, since=since)

    async def publish(self, assignment: Assignment, now: float) -> Publication:
        """See `Publisher.publish`."""
        publisher = await asyncio.to_thread(self._publishers.of, assignment.encoder)
        return await asyncio.to_thread(publisher.publish, assignment, now=now)

    def _publisher_of(self, submission: Submission) -> Publisher:
        return self._publishers.of(self._encoders.begun_by(submission).fingerprint)
