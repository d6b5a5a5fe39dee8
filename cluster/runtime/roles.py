"""The roles as Ray Serve deployments: each builds its role and passes calls through.

Serve starts their processes, restarts them, spreads calls over them, adds and takes away encoders
and decoders with their backlog, and asks Ray for the CPUs and GPUs that they need. What a role has
finished is in the store, so that nothing is lost with a process.

Work that takes long is streamed, so that its caller sees progress; a call that is cancelled stops
between two items.

The module is read wherever a role is declared or asked; what computes is imported where it runs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ray import get_gpu_ids, serve

from cluster.config import Config
from cluster.runtime.logs import log_as_json
from cluster.runtime.names import API, application
from cluster.runtime.process_meter import process_meter
from cluster.runtime.replicas import Replicas
from cluster.stores.open import open_store
from cluster.stores.store_patience import awaited
from workers.concurrency.streams import streamed
from workers.logs.errand import current_errand
from workers.traces.spans import each_in_span, in_span

if TYPE_CHECKING:
    from adapters.contract.mixture import Mixture
    from workers.encoding.encoder import Encoder
    from workers.encoding.encoders import Encoders
    from workers.images.pixels import Decoder, PixelTransform
    from workers.images.views import Views
    from workers.learning.crew import Assignment, Begun, Publication
    from workers.learning.publisher import Publisher
    from workers.logs.errand import Errand
    from workers.logs.keeping import WorkLogs
    from workers.registry.record_cache import Versions
    from workers.store import ObjectStore
    from workers.tasks.submission import Shard, Submission

logger = logging.getLogger("nacre.roles")


def device() -> str:
    """Return where tensors go: the GPU that Ray gave this process, if any."""
    import torch

    if not get_gpu_ids():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    logger.warning("Ray gives this process a GPU that torch does not find; it works on the CPU")
    return "cpu"


def encoder_class(path: str) -> "type[Encoder]":
    """Return what `module:name` stands for."""
    module, _, name = path.partition(":")
    found: type[Encoder] = getattr(import_module(module), name)
    return found


def metered_store(config: Config) -> "ObjectStore":
    """Return the store of a role, whose operations are counted, once it is there."""
    from workers.metrics.metered_store import MeteredStore

    meter = process_meter()
    return MeteredStore(awaited(lambda: open_store(config.store, existing=True)), meter)


def opened_encoders(
    config: Config, encoder: str, store: "ObjectStore", *, on: str = "cpu"
) -> "Encoders":
    """Return the encoders of a process, of which the configured one is loaded onto a device.

    Args:
        config: Names the encoder.
        encoder: The class that embeds; see `encoder_class`.
        store: Says how further ones are loaded.
        on: The device.
    """
    from workers.encoding.encoders import Encoders, loads_like

    loaded = encoder_class(encoder)(config.encoder, device=on)
    return Encoders(loaded, store, loads_like(loaded))


def check_encoder(versions: "Versions", adapter: str, fingerprint: str) -> None:
    """Raise EncoderMismatchError if an adapter's head was learnt with an encoder unknown here.

    One that an adapter was learnt anew under, or from which it was, is known: the store says how
    it is loaded.
    """
    from workers.encoding.known_encoders import read_encoder

    head = versions.resolve(adapter, "head")
    if head is None:
        return
    wanted = versions.registry.adapter(adapter).manifest(head).encoder
    if wanted == fingerprint or read_encoder(versions.registry.store, wanted) is None:
        versions.check_encoder(adapter, head, fingerprint)


def _begin(config: Config, store: "ObjectStore", role: str) -> "WorkLogs":
    """Prepare a process that computes, and return what keeps what it writes."""
    import torch

    torch.set_num_threads(config.workers.threads)
    return kept_logs(config, store, role)


def kept_logs(config: Config, store: "ObjectStore", role: str) -> "WorkLogs":
    """Have this process write JSON, keep what it writes for submissions, and trace what it does."""
    from cluster.traces.tracing import begin_tracing
    from workers.logs.keeping import WorkLogs, keep_what_is_written

    log_as_json()
    logs = WorkLogs(store, role)
    keep_what_is_written(logs)
    begin_tracing(config.traces, f"nacre-{role}")
    return logs


@serve.deployment(name="shard_encoder")
class ShardEncoderRole:
    """Embeds shards."""

    # Owns: a shard encoder per encoder; all are frozen.

    def __init__(self, config: Config, encoder: str, decoders: Any = None) -> None:
        from workers.encoding.encoders import PerEncoder
        from workers.encoding.shard_encoder import ShardEncoder

        store = metered_store(config)
        self._logs = _begin(config, store, "encoder")

        def shard_encoder(loaded: "Encoder") -> ShardEncoder:
            decode = None if decoders is None else DecodedElsewhere(decoders, loaded.transform)
            return ShardEncoder(loaded, store, decode=decode, meter=process_meter())

        encoders = opened_encoders(config, encoder, store, on=device())
        self._shard_encoders = PerEncoder(encoders, shard_encoder)

    async def embed(
        self, shard: "Shard", views: "Views", fingerprint: str, errand: "Errand | None" = None
    ) -> AsyncIterator[int]:
        """See `ShardEncoder.embed`; `fingerprint` names the encoder."""

        def embedding() -> Iterator[int]:
            return self._shard_encoders.of(fingerprint).embed(shard, views)

        images = len(shard.labels)
        work = each_in_span("embed shard", embedding, images=images, views=views.count)
        async for done in streamed(self._logs.each(errand, work)):
            yield done


class DecodedElsewhere:
    """Has images decoded by the decoders, on CPUs that need not be near the GPU."""

    def __init__(self, decoders: Any, transform: "PixelTransform") -> None:
        self._decoders = decoders
        self._config = transform.config

    def __call__(self, files: Sequence[bytes], digests: Sequence[str], views: "Views") -> Any:
        return self._decoders.decode.remote(
            list(files), list(digests), views, self._config, current_errand()
        )


@serve.deployment(name="decoder")
class DecoderRole:
    """Decodes images for encoders, one CPU each."""

    # Owns: the decoder that was used last.

    def __init__(self, config: Config) -> None:
        import torch
        from cachetools import LRUCache

        torch.set_num_threads(1)
        self._logs = kept_logs(config, metered_store(config), "decoder")
        self._latest: LRUCache[bytes, Decoder] = LRUCache(1)

    async def decode(
        self,
        files: Sequence[bytes],
        digests: Sequence[str],
        views: "Views",
        transform: Mapping[str, Any],
        errand: "Errand | None" = None,
    ) -> Any:
        """See `Decoder.decode`; the pixels as an array, which Ray passes on without copying."""
        decode = in_span("decode", self._of(transform).decode, images=len(files))
        pixels = await asyncio.to_thread(self._logs.run, errand, decode, files, digests, views)
        return pixels.numpy()

    def _of(self, transform: Mapping[str, Any]) -> "Decoder":
        from adapters.contract.canonical import canonical_json
        from workers.images.pixels import Decoder, PixelTransform

        key = canonical_json(transform)
        if key not in self._latest:
            self._latest[key] = Decoder(PixelTransform(transform))
        return self._latest[key]


@serve.deployment(name="trainer")
class TrainerRole:
    """Learns tasks, one at a time; holds the frozen text tower."""

    # Owns: a trainer per encoder.

    def __init__(self, config: Config, encoder: str) -> None:
        from cluster.stores.versions import open_versions
        from workers.encoding.encoders import PerEncoder
        from workers.learning.trainer import Trainer

        store = metered_store(config)
        self._logs = _begin(config, store, "trainer")
        versions = open_versions(config, existing=True, meter=process_meter())
        encoders = opened_encoders(config, encoder, store, on=device())
        self._trainers = PerEncoder(
            encoders, lambda loaded: Trainer(loaded, store, versions, meter=process_meter())
        )

    async def train(
        self, assignment: "Assignment", errand: "Errand | None" = None
    ) -> AsyncIterator[tuple[int, int]]:
        """See `Trainer.train`."""

        def training() -> Iterator[tuple[int, int]]:
            return self._trainers.of(assignment.encoder).train(assignment)

        work = each_in_span(
            "train", training, method=assignment.method, parent_version=assignment.parent
        )
        async for progress in streamed(self._logs.each(errand, work)):
            yield progress


@serve.deployment(name="mixture_fitter")
class MixtureFitterRole:
    """Compresses class distributions."""

    # Owns: the mixture fitter.

    def __init__(self, config: Config) -> None:
        from workers.learning.mixture_fitter import MixtureFitter

        store = metered_store(config)
        self._logs = _begin(config, store, "mixtures")
        self._fitter = MixtureFitter(store)

    async def parts(
        self, assignment: "Assignment", most: int, errand: "Errand | None" = None
    ) -> list[range]:
        """See `MixtureFitter.parts`."""
        call = self._logs.run
        return await asyncio.to_thread(call, errand, self._fitter.parts, assignment, most=most)

    async def fit(
        self, assignment: "Assignment", classes: range, errand: "Errand | None" = None
    ) -> "list[Mixture]":
        """See `MixtureFitter.fit`."""
        fit = in_span("fit mixtures", self._fitter.fit, classes=len(classes))
        return await asyncio.to_thread(self._logs.run, errand, fit, assignment, classes)

    async def finish(
        self,
        assignment: "Assignment",
        mixtures: "Sequence[Mixture]",
        errand: "Errand | None" = None,
    ) -> None:
        """See `MixtureFitter.finish`."""
        finish = in_span("finish record", self._fitter.finish)
        await asyncio.to_thread(self._logs.run, errand, finish, assignment, mixtures)


@serve.deployment(name="publisher")
class PublisherRole:
    """Measures and publishes versions."""

    # Owns: a publisher per encoder.

    def __init__(self, config: Config, encoder: str) -> None:
        from cluster.stores.versions import open_versions
        from workers.encoding.encoders import PerEncoder
        from workers.learning.publisher import Publisher

        store = metered_store(config)
        self._logs = _begin(config, store, "publisher")
        versions = open_versions(
            config, Replicas(application(API)), existing=True, meter=process_meter()
        )
        self._encoders = opened_encoders(config, encoder, store)
        check_encoder(versions, config.adapter, self._encoders.configured.fingerprint)
        self._publishers = PerEncoder(
            self._encoders, lambda loaded: Publisher(loaded, store, versions)
        )

    async def learnt_under(self, submission: "Submission", errand: "Errand | None" = None) -> str:
        """See `Publisher.learnt_under`."""

        def call() -> str:
            return self._publisher_of(submission).learnt_under(submission)

        return await asyncio.to_thread(self._logs.run, errand, call)

    async def begin(
        self,
        submission: "Submission",
        owner: str,
        since: int | None,
        errand: "Errand | None" = None,
    ) -> "Begun":
        """See `Publisher.begin`."""

        def call() -> "Begun":
            return self._publisher_of(submission).begin(submission, owner=owner, since=since)

        return await asyncio.to_thread(self._logs.run, errand, in_span("begin", call))

    async def publish(
        self, assignment: "Assignment", now: float, errand: "Errand | None" = None
    ) -> "Publication":
        """See `Publisher.publish`."""

        def call() -> "Publication":
            return self._publishers.of(assignment.encoder).publish(assignment, now=now)

        return await asyncio.to_thread(self._logs.run, errand, in_span("publish", call))

    def _publisher_of(self, submission: "Submission") -> "Publisher":
        return self._publishers.of(self._encoders.begun_by(submission).fingerprint)
