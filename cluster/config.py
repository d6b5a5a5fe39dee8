"""Configuration of the system: one YAML file for where it keeps things and how it listens.

Nothing secret is in it.

    store: file:///var/lib/nacre      # or s3://bucket/prefix; credentials come from the environment
    ray: local                        # or auto, or HOST:PORT of a running Ray
    encoder: {model: tiny}
    encoders:                         # further ones, by names for `nacre relearn --encoder`
      siglip: {model: ViT-B-16-SigLIP2, pretrained: webli}
    adapter: main
    adapters:                         # `*` stands for those that are not named
      "*": {method: lada, gate: {mode: gate, max_drop: 0.02, min_accuracy: 0.5}}
    serve: {host: 127.0.0.1, port: 8000, replicas: {min: 1, max: 4}}
    workers: {encoders: {min: 1, max: 4}, threads: 1}
    placement:                        # nothing is taken that is not asked for here
      shard_encoder: {gpus: 0.5}
    retention: {days: 7}
    events: {allow: [https://hooks.example.com/]}
    traces: {endpoint: "http://collector:4318"}
    limits:                           # `*` stands for requesters that are not named
      "token:ci": {images_per_minute: 60000}
    access:
      oidc: {issuer: https://id.example.com, audience: nacre, groups: {ml: {"*": operator}}}
    remote: {url: https://nacre.example.com, token_file: ~/.nacre-token}

Looked for, in this order: the file named by --config or NACRE_CONFIG, `nacre.yaml` in the working
folder, the defaults. Variables of the environment go before the file, as NACRE_STORE or
NACRE_SERVE__PORT (`cluster.variables`), and options of the command line before both.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from adapters.contract.memory_format import MemoryFormat
from adapters.errors import SettingsError
from cluster.variables import unknown_variables, variables_of
from workers.access.roles import RoleName
from workers.encoding.encoder_settings import EncoderSettings
from workers.formats.yaml_settings import read_settings, settings_of
from workers.housekeeping.retention import Retention
from workers.learning.gate import Gate
from workers.queue.machine import EVERY_ADAPTER
from workers.tasks.task_name import NAME

Part = TypeVar("Part")

AtLeastOne = Annotated[int, Field(ge=1)]
AdapterName = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
Seconds = Annotated[float, Field(gt=0, le=3600)]
IdleSeconds = Annotated[float, Field(ge=1, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ServiceUrl = Annotated[str, Field(pattern=r"^https?://[^/?#@\\\s]+(/[^?#@\\\s]*)?$")]
Allowed = Annotated[str, Field(pattern=r"^https?://[^/?#@\\\s]+/[^?#\\\s]*$")]


def _network(written: str) -> str:
    ip_network(written)  # its ValueError says what is wrong
    return written


Network = Annotated[str, AfterValidator(_network)]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
ASKED = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Where this machine asks what listens on all of its addresses."""


def is_private(url: str) -> bool:
    """Return whether nobody can read on the way what is sent to an address: TLS, or loopback."""
    found = urlsplit(url)
    return found.scheme == "https" or (found.scheme == "http" and found.hostname in LOOPBACK)


def _address(written: str) -> str:
    found = urlsplit(written)
    if not is_private(written) or not found.hostname or found.username is not None:
        raise ValueError("expected an https:// address, or an http:// one on this machine")
    if found.query or found.fragment or not written.isprintable() or " " in written:
        raise ValueError("expected an address without a query, a fragment or a space")
    return written


def _origin(written: str) -> str:
    if urlsplit(_address(written)).path not in ("", "/"):
        raise ValueError("expected an address without a path")
    return written.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]
Origin = Annotated[str, AfterValidator(_origin)]
Claim = Annotated[str, Field(min_length=1, max_length=200)]
AdapterOrAll = Annotated[str, Field(pattern=rf"^(\*|{NAME.pattern})$")]
Roles = dict[AdapterOrAll, RoleName]

CONFIG_FILE = "nacre.yaml"
CONFIG = "NACRE_CONFIG"
STORE = "NACRE_STORE"
LOCAL = "local"
EVERY_REQUESTER = "*"
EVERYBODY = "http"
"""Whoever asks over HTTP where there is no token to tell people apart."""
IN_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets this variable in the entrypoint of a job."""
TOKEN = "NACRE_TOKEN"
"""The variable that holds the bearer token of who may do everything; it is nowhere else."""
PREDICT_TOKEN = "NACRE_PREDICT_TOKEN"
"""The same for who may only ask and look."""
OIDC_SECRET = "NACRE_OIDC_SECRET"
"""The variable that holds what the service shows the provider of logins."""
URL = "NACRE_URL"
"""The variable that names the remote system which commands act on, in place of `remote: url`."""
TOKEN_FILE = "NACRE_TOKEN_FILE"
"""The variable that names a file with the token, in place of `NACRE_TOKEN`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplicasConfig:
    """How many replicas answer; more of them come and go with the requests under way.

    Attributes:
        min: Replicas that are always there.
        max: Most replicas.
        busy: A further replica is started when the replicas have on average more than this number
            of requests under way.
        idle_s: A replica that has not been needed for this time is stopped.
    """

    min: AtLeastOne = 1
    max: AtLeastOne = 1
    busy: AtLeastOne = 8
    idle_s: IdleSeconds = 300.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeConfig:
    """How the replicas listen and answer.

    Attributes:
        host: Address to bind; everything but loopback needs tokens.
        port: TCP port.
        adapters: Adapters whose `production` is followed, besides the configured one.
        replicas: How many replicas.
        poll_s: How often a replica looks whether `production` has moved, besides being told.
        stale_s: A replica that could not look for this time says so in its status; it goes on
            answering, and stays ready.
        max_staleness_s: A replica that could not look for this time is not ready any more. `null`
            sets no limit, since all replicas lose a store at once.
        batch: Most images that are embedded together. A batch does not wait to be full: while one
            is embedded, the images that arrive are gathered for the next.
        threads: Torch threads of each replica.
        decoders: Images decoded at once by each replica.
        versions: Most versions that a replica keeps loaded.
        versions_mb: Most megabytes of these versions in memory, whose records and towers count;
            the one used last stays loaded however large it is.
        memory: How replicas keep the memory vectors of versions: `float32`, as they were learnt and
            measured, or `bfloat16` in half the bytes, with scores that differ a little.
        max_ongoing: Most requests under way in one replica.
        max_queued: Most requests that wait for a replica; more are answered with 429.
        timeout_s: Longest time that a request may take; a request may ask for less.
        console: Whether the console is served, too, at `/console` on this port.
        haproxy: Whether requests come in through HAProxy, which lets the replicas listen on `host`
            as well. If not set, only where there is a token.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    adapters: tuple[AdapterName, ...] = ()
    replicas: ReplicasConfig = field(default_factory=ReplicasConfig)
    poll_s: Seconds = 0.1
    stale_s: Seconds = 2.0
    max_staleness_s: Seconds | None = None
    batch: AtLeastOne = 16
    threads: AtLeastOne = 1
    decoders: AtLeastOne = 2
    versions: AtLeastOne = 16
    versions_mb: AtLeastOne = 4096
    memory: MemoryFormat = "float32"
    max_ongoing: AtLeastOne = 64
    max_queued: AtLeastOne = 256
    timeout_s: Seconds = 60.0
    console: bool = False
    haproxy: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class EncodersConfig:
    """The encoder pool, which grows and shrinks with its backlog.

    Attributes:
        min: Encoders that are always there. With 0 there is none until there is something to embed.
        max: Most encoders.
        idle_s: An encoder that has had nothing to do for this time is stopped.
    """

    min: Annotated[int, Field(ge=0)] = 1
    max: AtLeastOne = 1
    idle_s: IdleSeconds = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkersConfig:
    """How much work goes on at once.

    Attributes:
        encoders: The encoder pool.
        decoders: Most processes that decode images for encoders on GPUs, one CPU each. Encoders
            without a GPU decode in threads of their own.
        trainers: Submissions learnt at once, at most one per adapter.
        least_trainers: Trainers that are always there; as many as `trainers` where it is not said.
            With 0 there is none until there is something to learn.
        trainer_idle_s: A trainer that has had nothing to do for this time is stopped.
        mixtures: Most processes that fit the mixtures of one task side by side.
        encode_at_once: Submissions embedded at once.
        encode_at_once_per_adapter: The same for one adapter, so that a long backlog leaves room.
        attempts: A submission has failed after this number of failures of its own.
        poll_s: How often the coordinator looks for requests and moved aliases.
        threads: Torch threads of each process. More than there are idle cores make a step tens of
            times slower: waiting threads spin.
    """

    encoders: EncodersConfig = field(default_factory=EncodersConfig)
    decoders: AtLeastOne = 4
    trainers: AtLeastOne = 1
    least_trainers: Annotated[int, Field(ge=0)] | None = None
    trainer_idle_s: IdleSeconds = 60.0
    mixtures: AtLeastOne = 1
    encode_at_once: AtLeastOne = 4
    encode_at_once_per_adapter: AtLeastOne = 2
    attempts: AtLeastOne = 3
    poll_s: Seconds = 0.5
    threads: AtLeastOne = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class RolePlacement:
    """What each process of a role needs of the node that it runs on.

    Nothing is taken because it happens to be there: what is not said here is not used, and what is
    said and not there is waited for, so that a group of nodes may begin at none.

    Attributes:
        cpus: CPUs that it takes, as Ray counts them; 1 for the decoder, none for the coordinator,
            and 0.1 for the others, where it is not said.
        gpus: GPUs that it takes, or a share of one.
        resources: Further resources of Ray that it takes, by name, as nodes were started with.
        labels: Labels of Ray that its node must have, such as `{ray.io/market-type: spot}`.
    """

    cpus: Share | None = None
    gpus: Share = 0.0
    resources: dict[str, Share] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacementConfig:
    """Where the processes of each role run.

    Attributes:
        api: The replicas that answer.
        shard_encoder: The encoders. With `gpus`, others decode images for them.
        decoder: What decodes images for encoders on GPUs.
        trainer: The trainers.
        mixture_fitter: What fits mixtures.
        publisher: The publisher.
        coordinator: The coordinator.
        console: The console.
    """

    api: RolePlacement = field(default_factory=RolePlacement)
    shard_encoder: RolePlacement = field(default_factory=RolePlacement)
    decoder: RolePlacement = field(default_factory=RolePlacement)
    trainer: RolePlacement = field(default_factory=RolePlacement)
    mixture_fitter: RolePlacement = field(default_factory=RolePlacement)
    publisher: RolePlacement = field(default_factory=RolePlacement)
    coordinator: RolePlacement = field(default_factory=RolePlacement)
    console: RolePlacement = field(default_factory=RolePlacement)

    def of_roles(self) -> Iterator[tuple[str, RolePlacement]]:
        """Yield each role with its placement."""
        for role in fields(self):
            yield role.name, getattr(self, role.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterConfig:
    """How the tasks of one adapter are learnt.

    Attributes:
        method: How tasks are learnt.
        gate: What a version must reach to be served.
        max_open: Most submissions that may be open at once.
    """

    method: str = "lada"
    gate: Gate = field(default_factory=Gate)
    max_open: AtLeastOne = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class EventsConfig:
    """Where webhooks may be.

    Attributes:
        allow: Addresses that webhooks may have, each with all that is below its path, such as
            `https://hooks.example.com/`. Without one, nothing is recorded and nothing sent.
        inner: Networks inside which these addresses may lie, such as `10.0.0.0/8`. Nothing is sent
            to loopback, private or link-local addresses otherwise, whatever a name resolves to.
    """

    allow: tuple[Allowed, ...] = ()
    inner: tuple[Network, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TracesConfig:
    """Whether what is done is traced, and who collects the spans.

    Attributes:
        endpoint: Where an OpenTelemetry collector takes spans over HTTP, such as
            `http://collector:4318`; `OTEL_EXPORTER_OTLP_ENDPOINT` goes before it. `null`: nothing
            is traced, unless such a variable says so.
        ratio: Which part of the traces that begin here is kept; whoever asks with a `traceparent`
            decides for theirs. `OTEL_TRACES_SAMPLER` goes before it.
    """

    endpoint: ServiceUrl | None = None
    ratio: Annotated[float, Field(ge=0, le=1)] = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RequesterLimits:
    """How much one requester may do at once; `null` sets no limit.

    Attributes:
        requests: Most requests under way in one replica.
        images_per_minute: Most images a minute that one replica takes. Whoever has asked for
            nothing for a minute may send so many at once.
        open_submissions: Most submissions that may be open at once, of all adapters together.
        stored_mb: Most megabytes of images of submissions that are open or have ended within a day,
            of all adapters together.
    """

    requests: AtLeastOne | None = 32
    images_per_minute: AtLeastOne | None = 6_000
    open_submissions: AtLeastOne | None = 1_000
    stored_mb: AtLeastOne | None = 100_000


NO_LIMITS = RequesterLimits(
    requests=None, images_per_minute=None, open_submissions=None, stored_mb=None
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginConfig:
    """How people log in with their provider, in a browser.

    Attributes:
        client: As the provider knows this service: its client id.
        url: Where browsers reach this service; the provider sends them back to `/login/callback`
            below it.
        scopes: What the provider is asked for, besides `openid`.
    """

    client: Claim
    url: Origin
    scopes: tuple[Claim, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class OidcConfig:
    """The OpenID provider that says who somebody is, and the roles that this gives them.

    Attributes:
        issuer: Its address, as its tokens say it in `iss`.
        audience: What its tokens must name in `aud`.
        subject: The claim that names who sends a token.
        in_groups: The claim that names their groups, a list or one text. Dots lead into a claim
            that is an object, as in `realm_access.roles`, where no claim has just that name.
        subjects: Roles by adapter of subjects, by their names; `*` stands for all adapters.
        groups: The same of whoever is in a group.
        contact: Whom to ask for a role.
        login: How people log in with it; where there is none, only with a named token.
    """

    issuer: Address
    audience: Claim
    subject: Claim = "sub"
    in_groups: Claim = "groups"
    subjects: dict[str, Roles] = field(default_factory=dict)
    groups: dict[str, Roles] = field(default_factory=dict)
    contact: Claim = "an admin of this service"
    login: LoginConfig | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessConfig:
    """Who is known besides those who have a token of this service.

    Attributes:
        oidc: Whoever an OpenID provider vouches for.
    """

    oidc: OidcConfig | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteConfig:
    """A system elsewhere, which commands act on over HTTP instead of on the store.

    Attributes:
        url: Its address, such as `https://nacre.example.com`.
        token_file: File that holds the token, and nothing else; `~` is the home folder. It is sent
            to `url` alone.
        insecure: Whether the token may be sent over plain `http://` to another machine.
    """

    url: ServiceUrl | None = None
    token_file: str | None = None
    insecure: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """Everything that `nacre up` needs to know.

    Attributes:
        store: URL of the object store.
        cache_bytes: Most bytes of records kept on each machine; for stores on other machines.
        ray: `local` starts a Ray on this machine; `auto` or HOST:PORT joins a running one.
        adapter: The adapter that replicas serve, and the verbs' default.
        adapters: How the tasks of each adapter are learnt, by its name; `*` stands for those that
            are not named.
        encoder: What embeds the images of adapters that begin.
        encoders: Further encoders by name, under which adapters can be learnt anew.
        serve: How the replicas listen.
        workers: How much work goes on at once.
        placement: What the processes of each role need of their nodes: GPUs, resources, labels.
        retention: How long images and features are kept.
        events: Where webhooks may be.
        traces: Whether what is done is traced.
        limits: How much each requester may do at once, by name as in the audit log; `*` stands for
            those that are not named. `http`, everybody where there is no token, has only limits
            that are set under that name.
        access: Who is known besides those who have a token of this service.
        remote: The system elsewhere that commands act on.
    """

    store: str = field(default_factory=lambda: f"file://{home() / 'store'}")
    cache_bytes: AtLeastOne = 10 * 2**30
    ray: str = LOCAL
    adapter: AdapterName = "main"
    adapters: dict[str, AdapterConfig] = field(default_factory=dict)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    encoders: dict[AdapterName, EncoderSettings] = field(default_factory=dict)
    serve: ServeConfig = field(default_factory=ServeConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    placement: PlacementConfig = field(default_factory=PlacementConfig)
    retention: Retention = field(default_factory=Retention)
    events: EventsConfig = field(default_factory=EventsConfig)
    traces: TracesConfig = field(default_factory=TracesConfig)
    limits: dict[str, RequesterLimits] = field(default_factory=dict)
    access: AccessConfig = field(default_factory=AccessConfig)
    remote: RemoteConfig = field(default_factory=RemoteConfig)

    def __post_init__(self) -> None:
        """Read parts that are given as mappings, as the file has them.

        Raises:
            SettingsError: a part is neither, or has keys that are unknown or of the wrong type; of
                something there is to be more than at most.
        """
        for each in fields(self):
            kind: Any = each.default_factory
            if isinstance(kind, type) and is_dataclass(kind):
                part = _part(kind, getattr(self, each.name), each.name)
                object.__setattr__(self, each.name, part)
        for name, kind in _BY_NAME.items():
            parts = getattr(self, name).items()
            read = {key: _part(kind, found, f"{name}: {key}") for key, found in parts}
            object.__setattr__(self, name, read)
        self._check_bounds()

    def _check_bounds(self) -> None:
        replicas, workers = self.serve.replicas, self.workers
        for least, fewest, most, number in (
            ("serve.replicas.min", replicas.min, "max", replicas.max),
            ("workers.encoders.min", workers.encoders.min, "max", workers.encoders.max),
            ("workers.least_trainers", workers.least_trainers or 0, "trainers", workers.trainers),
        ):
            if fewest > number:
                raise SettingsError(
                    f"{least}: expected no more than `{most}`, which is {number}, found {fewest}; "
                    f"raise `{most}`, too"
                )

    @property
    def endpoint(self) -> str:
        """Where this machine asks the HTTP API; what listens everywhere is asked on loopback."""
        host = ASKED.get(self.serve.host, self.serve.host)
        named = f"[{host}]" if ":" in host else host
        return f"http://{named}:{self.serve.port}"

    @property
    def console_url(self) -> str | None:
        """Where the pages of the system are; None where it serves none."""
        return f"{self.endpoint}/console" if self.serve.console else None

    @property
    def served(self) -> tuple[str, ...]:
        """The adapters whose `production` is followed."""
        return tuple(dict.fromkeys((self.adapter, *self.serve.adapters)))

    def of_adapter(self, name: str) -> AdapterConfig:
        """Return how the tasks of the adapter called `name` are learnt."""
        return self.adapters.get(name) or self.adapters.get(EVERY_ADAPTER) or AdapterConfig()

    def of_requester(self, name: str) -> RequesterLimits:
        """Return how much whoever is called `name` may do at once."""
        if name == EVERYBODY:
            return self.limits.get(name, NO_LIMITS)
        return self.limits.get(name) or self.limits.get(EVERY_REQUESTER) or RequesterLimits()


_BY_NAME: Mapping[str, type[Any]] = {
    "adapters": AdapterConfig,
    "encoders": EncoderSettings,
    "limits": RequesterLimits,
}
"""Parts of a configuration that have many of a kind, by names."""


def _part(kind: type[Part], found: Any, name: str) -> Part:
    if isinstance(found, kind):
        return found
    try:
        written = json.dumps(found).encode()
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"the configuration's {name}: expected {kind.__name__} or a mapping of its keys, found "
            f"{found!r:.80}"
        ) from error
    return settings_of(kind, written, f"the configuration's {name}")


def token_in(environment: Mapping[str, str], variable: str) -> str | None:
    """Return the token of a variable; None where it has none.

    A Secret that was made of a file has the line break at its end, which no header can carry.
    """
    return environment.get(variable, "").strip() or None


def home() -> Path:
    """Return the folder of nacre's own files: NACRE_HOME, or `.nacre` in the home folder."""
    return Path(os.environ.get("NACRE_HOME", Path.home() / ".nacre")).absolute()


def set_home(folder: Path) -> None:
    """Make `folder` the folder of nacre's own files, for this process and those it starts."""
    os.environ["NACRE_HOME"] = str(folder.absolute())


def load_config(path: Path | None = None) -> Config:
    """Return the configuration: the file, with what variables of the environment say above it.

        >>> nacre.load_config().adapter
        'main'

    Args:
        path: The file; where None the one that NACRE_CONFIG names, else `nacre.yaml` in the working
            folder, else the defaults.

    Raises:
        NotFoundError: the named file does not exist.
        SettingsError: a key is unknown or has the wrong type.
    """
    return read_settings(Config, config_file(path), above=variables_of(Config, os.environ))


def told_variables() -> list[str]:
    """Return a sentence for each variable that begins like nacre's and is none of them."""
    return unknown_variables(Config, os.environ)


def config_file(path: Path | None = None) -> Path | None:
    """Return the file that `load_config` reads; None where it is the defaults."""
    named = path or (Path(os.environ[CONFIG]) if CONFIG in os.environ else None)
    return named or (Path(CONFIG_FILE) if Path(CONFIG_FILE).is_file() else None)
