"""Applications of Ray Serve: a typed builder for each role, for `serve deploy` and RayService.

    applications:
      - name: nacre-trainer
        import_path: cluster.app:trainer
        args: {config: {store: s3://bucket/prefix, workers: {trainers: 2}}}

`nacre serve-config` prints such a document for all of them, and `nacre up` declares the same one.
An application is replaced when its arguments change: each gets of the configuration what it reads
(`cluster.system.declaration`), and goes on while the rest of it changes.
"""

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from ray.serve import Application
from ray.serve.config import AutoscalingConfig

from cluster.config import Config, RolePlacement
from cluster.runtime.coordinator_role import CoordinatorRole
from cluster.runtime.roles import (
    DecoderRole,
    MixtureFitterRole,
    PublisherRole,
    ShardEncoderRole,
    TrainerRole,
)
from cluster.system.console_role import MOST_OPEN, ConsoleRole
from cluster.system.declaration import ENCODER, LOGGING
from cluster.system.replica import Replica
from workers.formats.yaml_settings import settings_of

SHUTDOWN_S, CONSOLE_SHUTDOWN_S = 30, 2
CPU_SHARE = 0.1
"""Small shares let everything fit on two cores; the operating system shares them out."""


def _config(written: Any) -> Any:
    """Return a configuration as its file is read, so that a wrong key is a sentence."""
    if isinstance(written, Config):
        return written
    return settings_of(Config, json.dumps(written).encode(), "the application's arguments")


class Arguments(BaseModel):
    """What every builder takes."""

    model_config = ConfigDict(extra="forbid")

    config: Annotated[Config, BeforeValidator(_config)] = Field(
        description="The configuration, as in its file; what the role does not read may be left "
        "out. Variables of the environment do not count here."
    )
    encoder_class: str = Field(
        default=ENCODER,
        pattern=r"^[\w.]+:\w+$",
        description="What embeds, as `module:name`; another one only to measure the rest.",
    )
    release: str = Field(
        default="",
        description="Any text; where it has changed, the application is replaced, as after another "
        "release was installed.",
    )


def api(arguments: Arguments) -> Application:
    """Return the HTTP API, whose replicas answer."""
    config = arguments.config
    asked, replicas = config.serve, config.serve.replicas
    sized = _sized(
        Replica, least=replicas.min, most=replicas.max, busy=replicas.busy, idle_s=replicas.idle_s
    )
    return sized.options(
        max_ongoing_requests=asked.max_ongoing,
        max_queued_requests=asked.max_queued,
        backpressure_config={"status_code": 429, "retry_after_s": 1},
        ray_actor_options=_needs(config.placement.api),
        # A replica goes when the one that takes its place answers.
        max_surge_percent=100,
        health_check_period_s=2,
        graceful_shutdown_timeout_s=SHUTDOWN_S,
    ).bind(config, arguments.encoder_class)


def console(arguments: Arguments) -> Application:
    """Return the console, one process that reads the store and embeds nothing that is asked."""
    config = arguments.config
    deployment: Any = ConsoleRole
    one = deployment.options(
        logging_config=LOGGING,
        num_replicas=1,
        max_ongoing_requests=MOST_OPEN,
        ray_actor_options=_needs(config.placement.console),
        health_check_period_s=2,
        # Open pages would be waited for, and they ask again by themselves.
        graceful_shutdown_timeout_s=CONSOLE_SHUTDOWN_S,
    )
    bound: Application = one.bind(config)
    return bound


def shard_encoder(arguments: Arguments) -> Application:
    """Return the encoders, and what decodes for them where they are on GPUs."""
    config, workers = arguments.config, arguments.config.workers
    placement = config.placement
    encoders = _role(
        ShardEncoderRole,
        placement.shard_encoder,
        least=workers.encoders.min,
        most=workers.encoders.max,
        at_once=2,
        idle_s=workers.encoders.idle_s,
    )
    if not placement.shard_encoder.gpus:
        # Without a GPU they decode beside their forward.
        return encoders.bind(config, arguments.encoder_class)
    # They come with the encoders, where these begin at none.
    decoders = _role(
        DecoderRole,
        placement.decoder,
        least=min(1, workers.encoders.min),
        most=workers.decoders,
        at_once=2,
        cpus=1,
    )
    return encoders.bind(config, arguments.encoder_class, decoders.bind(config))


def trainer(arguments: Arguments) -> Application:
    """Return the trainers."""
    config, workers = arguments.config, arguments.config.workers
    least = workers.trainers if workers.least_trainers is None else workers.least_trainers
    trainers = _role(
        TrainerRole,
        config.placement.trainer,
        least=least,
        most=workers.trainers,
        idle_s=workers.trainer_idle_s,
    )
    return trainers.bind(config, arguments.encoder_class)


def mixture_fitter(arguments: Arguments) -> Application:
    """Return what fits mixtures."""
    config = arguments.config
    fitters = _role(
        MixtureFitterRole, config.placement.mixture_fitter, most=config.workers.mixtures, at_once=2
    )
    return fitters.bind(config)


def publisher(arguments: Arguments) -> Application:
    """Return the publisher."""
    config = arguments.config
    publishers = _role(PublisherRole, config.placement.publisher, most=1, at_once=8)
    return publishers.bind(config, arguments.encoder_class)


def coordinator(arguments: Arguments) -> Application:
    """Return the coordinator, of which there is one; an overlap of two is fenced by the lead."""
    config = arguments.config
    one = _role(CoordinatorRole, config.placement.coordinator, most=1, at_once=64, cpus=0)
    return one.bind(config)


def _role(
    deployment: Any,
    placement: RolePlacement,
    *,
    least: int = 1,
    most: int,
    at_once: int = 1,
    idle_s: float = 60.0,
    cpus: float = CPU_SHARE,
) -> Any:
    """Return a role's deployment; each of its processes works on `at_once` calls."""
    # As many calls per process as it works on at once: more than that is a backlog.
    sized = _sized(deployment, least=least, most=most, busy=at_once, idle_s=idle_s)
    return sized.options(
        max_ongoing_requests=at_once,
        ray_actor_options=_needs(placement, cpus=cpus),
        health_check_period_s=2,
        graceful_shutdown_timeout_s=SHUTDOWN_S,
    )


def _sized(deployment: Any, *, least: int, most: int, busy: float, idle_s: float) -> Any:
    """Return a deployment of a fixed size, or of one that follows the calls under way."""
    deployment = deployment.options(logging_config=LOGGING)
    if least >= most:
        return deployment.options(num_replicas=most)
    return deployment.options(
        autoscaling_config=AutoscalingConfig(
            min_replicas=least,
            max_replicas=most,
            target_ongoing_requests=busy,
            upscale_delay_s=2,
            downscale_delay_s=idle_s,
            metrics_interval_s=1,
            look_back_period_s=3,
        )
    )


def _needs(placement: RolePlacement, *, cpus: float = CPU_SHARE) -> dict[str, Any]:
    """Return what Ray is asked for, for each process."""
    needs: dict[str, Any] = {
        "num_cpus": cpus if placement.cpus is None else placement.cpus,
        "num_gpus": placement.gpus,
        "resources": dict(placement.resources),
    }
    return needs | ({"label_selector": dict(placement.labels)} if placement.labels else {})
