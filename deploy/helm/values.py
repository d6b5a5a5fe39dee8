"""What the chart takes: the values, typed, with their defaults and what they mean.

`make.py` beside this makes the chart's values.yaml, its schema and its README of it.
"""

from dataclasses import field
from importlib.metadata import version
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0, le=100)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")]
Name = Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)]
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
Digest = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")]
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
Free = dict[str, Any]
"""What Kubernetes knows and the chart hands on as it is."""
FreeList = list[Free]
OF_KUBERNETES = "x-kubernetes"
"""Says in a schema which definition of Kubernetes counts; `make.py` puts it there."""


def _known(name: str) -> WithJsonSchema:
    """Return the schema of what is handed on, closed: of a misspelt key nothing would come."""
    return WithJsonSchema({OF_KUBERNETES: name})


Resources = Annotated[Free, _known("api.core.v1.ResourceRequirements")]
Affinity = Annotated[Free, _known("api.core.v1.Affinity")]
PodSecurity = Annotated[Free, _known("api.core.v1.PodSecurityContext")]
Security = Annotated[Free, _known("api.core.v1.SecurityContext")]
Tolerations = list[Annotated[Free, _known("api.core.v1.Toleration")]]
Variables = list[Annotated[Free, _known("api.core.v1.EnvVar")]]
VariablesFrom = list[Annotated[Free, _known("api.core.v1.EnvFromSource")]]
Mounts = list[Annotated[Free, _known("api.core.v1.VolumeMount")]]
Peers = list[Annotated[Free, _known("api.networking.v1.NetworkPolicyPeer")]]
Egress = list[Annotated[Free, _known("api.networking.v1.NetworkPolicyEgressRule")]]

CLOSED = ConfigDict(alias_generator=to_camel, extra="forbid", populate_by_name=True)
"""Of the parts of the values: written in camel case, and nothing but what they name."""

SHARED = ConfigDict(alias_generator=to_camel, extra="ignore", populate_by_name=True)
"""Of what other charts read, too, each of which has keys of its own there."""

PORTS = {"serve": 8000, "metrics": 8080, "dashboard": 8265, "health": 52365}
RUNS_AS = 10001
"""User and group of the image."""
GROUP = "nacre-group"
"""The label of Ray by which processes find their group."""
REPLICA = "nacre-replica"
"""What Ray counts so that each pod that serves has one replica, and one more is one more pod."""


CONFIG: Free = {
    "ray": "auto",
    "serve": {"host": "0.0.0.0", "port": PORTS["serve"], "adapters": ["chart-test"]},
}
"""What the chart says of the configuration before anybody else does."""


@dataclass(frozen=True, kw_only=True, config=SHARED)
class Global:
    """What charts of one release share; keys of others are theirs.

    Attributes:
        image_registry: Goes before the repositories of all images, such as
            `registry.example.com/mirror`.
    """

    image_registry: str = ""


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Image:
    """One image.

    Attributes:
        repository: Where it is, without a tag.
        tag: Which one; the chart's `appVersion` where it is empty.
        digest: `sha256:…`, in place of the tag.
        pull_policy: As Kubernetes has it; `Never` where nothing can be pulled.
    """

    repository: str
    tag: str = ""
    digest: Digest = ""
    pull_policy: PullPolicy = "IfNotPresent"


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Images:
    """The images of both kinds of pods, made of one Dockerfile.

    Attributes:
        cpu: Of the head and of groups without GPUs.
        cuda: Of groups with GPUs.
        pull_secrets: Names of Secrets to pull with.
    """

    cpu: Image = field(default_factory=lambda: Image(repository="nacre"))
    cuda: Image = field(default_factory=lambda: Image(repository="nacre", tag="cuda"))
    pull_secrets: list[Name] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Auth:
    """The tokens of the HTTP API, by reference; none is written into values.

    Attributes:
        existing_secret: Name of a Secret with the key `NACRE_TOKEN`, and `NACRE_PREDICT_TOKEN`
            where there is one for asking alone.
        create: Make a Secret with a random token, which stays over upgrades. `helm template` cannot
            look at what is there, and makes another one each time.
        oidc_secret: Name of a Secret with the key `NACRE_OIDC_SECRET`, for
            `config.access.oidc.login`.
    """

    existing_secret: Name = ""
    create: bool = False
    oidc_secret: Name = ""


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Store:
    """How pods reach the object store that `config.store` names.

    Attributes:
        existing_secret: Name of a Secret whose keys become variables of every pod, such as
            `NACRE_S3_ACCESS_KEY` and `NACRE_S3_SECRET_KEY`. Leave it out where the service account
            is what the store trusts.
        existing_claim: Name of a PersistentVolumeClaim that every pod mounts at `/store`, for
            `config.store: file:///store`. One machine alone: all pods must be on it.
        ca_secret: Name of a Secret with the key `ca.crt`, the authority of the store's certificate.
    """

    existing_secret: Name = ""
    existing_claim: Name = ""
    ca_secret: Name = ""


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class ServiceAccount:
    """Who the pods are.

    Attributes:
        create: Make one; otherwise `name` is there already.
        name: Its name; that of the release where it is empty.
        annotations: What a cloud needs to trust it, such as `eks.amazonaws.com/role-arn`.
    """

    create: bool = True
    name: Name = ""
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Pod:
    """What the head and every group have.

    Attributes:
        image: Another image than `image.cpu` or `image.cuda`, whole, with its tag.
        pull_policy: In place of that of the image.
        cpus: What Ray counts as CPUs here. Ray would count the limit, or the request rounded up.
        gpus: What Ray counts as GPUs here; that many are also asked of Kubernetes, and the image is
            `image.cuda`.
        gpu_resource: What Kubernetes calls a GPU.
        ray_resources: Further resources as Ray counts them, by name.
        ray_labels: Labels of the Ray nodes, by which `config.placement` finds them.
        resources: Requests and limits of the container. `/dev/shm` is in memory and counts in the
            limit.
        shared_memory: Largest size of `/dev/shm`.
        scratch: Largest size of the folder for caches, `NACRE_HOME`; more than
            `config.cache_bytes`.
        env: Further variables.
        env_from: ConfigMaps and Secrets whose keys become variables.
        volumes: Further volumes.
        volume_mounts: Where they are mounted.
        node_selector: Labels that a machine must have.
        tolerations: Taints that a machine may have.
        affinity: Which machines and neighbours are preferred.
        priority_class: Name of a PriorityClass.
        runtime_class: Name of a RuntimeClass.
        pod_security_context: In place of that of the chart.
        security_context: The same of the container.
        labels: Further labels of the pods.
        annotations: Further annotations of the pods.
    """

    image: str = ""
    pull_policy: PullPolicy | None = None
    cpus: Count = 0
    gpus: Count = 0
    gpu_resource: str = "nvidia.com/gpu"
    ray_resources: dict[str, str] = field(default_factory=dict)
    ray_labels: dict[str, str] = field(default_factory=dict)
    resources: Resources = field(default_factory=dict)
    shared_memory: Quantity = "1Gi"
    scratch: Quantity = "16Gi"
    env: Variables = field(default_factory=list)
    env_from: VariablesFrom = field(default_factory=list)
    volumes: FreeList = field(default_factory=list)
    volume_mounts: Mounts = field(default_factory=list)
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: Tolerations = field(default_factory=list)
    affinity: Affinity = field(default_factory=dict)
    priority_class: Name = ""
    runtime_class: Name = ""
    pod_security_context: PodSecurity = field(default_factory=dict)
    security_context: Security = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Group(Pod):
    """Pods of one kind, whose number the autoscaler changes.

    Attributes:
        min: Pods that are always there.
        max: Most pods. With 0 there is no such group.
        idle_timeout_seconds: A pod that has not been used for this time goes.
        spread: Whether pods are spread over zones, as far as that is possible.
    """

    min: Count = 0
    max: Count = 0
    idle_timeout_seconds: Seconds = 300
    spread: bool = False


def _sized(cpu: str, memory: str, most_cpu: str | None = None) -> Free:
    return {
        "requests": {"cpu": cpu, "memory": memory},
        "limits": {"cpu": most_cpu or cpu, "memory": memory},
    }


def _serve() -> Group:
    return Group(
        min=2,
        max=5,
        cpus=1,
        spread=True,
        resources=_sized("1", "3Gi", "2"),
        ray_resources={REPLICA: "1"},
        ray_labels={GROUP: "serve"},
    )


def _encode() -> Group:
    return Group(
        cpus=4,
        gpus=1,
        idle_timeout_seconds=600,
        resources=_sized("4", "12Gi"),
        ray_labels={GROUP: "encode"},
    )


def _learn() -> Group:
    return Group(
        min=1, max=2, cpus=4, resources=_sized("2", "8Gi", "4"), ray_labels={GROUP: "learn"}
    )


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Groups:
    """The groups of pods.

    Attributes:
        serve: Pods with a replica each, which are behind the Service. Where `config.serve.replicas`
            says nothing, there are at least `min` replicas and at most one less than `max`: after a
            change a replica begins in a pod of its own before an old one goes.
        encode: Pods with a GPU, from zero: none is there until there is something to embed. With
            `max: 0` images are embedded in the group that learns, without a GPU.
        learn: Pods that learn, publish and coordinate.
    """

    serve: Group = field(default_factory=_serve)
    encode: Group = field(default_factory=_encode)
    learn: Group = field(default_factory=_learn)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Upgrade:
    """What happens when pods change, as with another image. Changed `config` needs no other pods.

    Attributes:
        strategy: `NewCluster` makes a second cluster beside the first and switches when it answers;
            `NewClusterWithIncrementalUpgrade` moves requests in steps, and needs the Gateway API;
            with `None` nothing happens.
        gateway_class_name: For steps: the class of the gateway.
        step_size_percent: For steps: part of the requests that moves in one.
        interval_seconds: For steps: time between two.
        max_surge_percent: For steps: part of the second cluster that is there before they begin.
        deletion_delay_seconds: How long the first cluster stays after the switch.
    """

    strategy: Literal["NewCluster", "NewClusterWithIncrementalUpgrade", "None"] = "NewCluster"
    gateway_class_name: str = ""
    step_size_percent: Percent = 10
    interval_seconds: Annotated[int, Field(ge=1)] = 30
    max_surge_percent: Percent = 100
    deletion_delay_seconds: Seconds = 120


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Redis:
    """A Redis for what the head knows.

    Attributes:
        address: Such as `redis:6379`.
        existing_secret: Name of a Secret with the key `password`.
    """

    address: str = ""
    existing_secret: Name = ""


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Rocksdb:
    """A volume for what the head knows, which the operator makes.

    Attributes:
        size: Its size.
        storage_class_name: Its class; that of the cluster where it is empty.
    """

    size: Quantity = "1Gi"
    storage_class_name: Name = ""


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class GcsFaultTolerance:
    """What a new head knows of what the old one knew.

    Attributes:
        backend: `rocksdb` on a volume of the head; the operator needs its feature gate
            `GCSFaultToleranceEmbeddedStorage`, and refuses the RayService without. `redis` beside
            it. With `off` everything is started anew when the head is lost: no task is lost,
            requests are refused meanwhile.
        redis: For `redis`.
        rocksdb: For `rocksdb`.
    """

    backend: Literal["rocksdb", "redis", "off"] = "rocksdb"
    redis: Redis = field(default_factory=Redis)
    rocksdb: Rocksdb = field(default_factory=Rocksdb)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class NetworkPolicy:
    """Who reaches what.

    Attributes:
        enabled: Whether there is one. Pods of the release reach each other; others reach the port
            of the API, Prometheus the metrics, and the operator the head's dashboard. Everything
            else is closed, what HAProxy says of itself included.
        api_from: Who reaches the API, as peers of a NetworkPolicy; everybody where it is empty.
        metrics_from: Who reaches the metrics.
        operator_from: Where the KubeRay operator is.
        api_server: Addresses of Kubernetes' API server, such as `10.0.0.1/32`: the autoscaler asks
            it. With it, what pods send is limited, too: to each other, to DNS, there, and `egress`.
        api_server_port: Its port.
        egress: What pods may send besides, as rules of a NetworkPolicy; the object store belongs
            here.
    """

    enabled: bool = True
    api_from: Peers = field(default_factory=list)
    metrics_from: Peers = field(
        default_factory=lambda: [
            {
                "namespaceSelector": {},
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}},
            }
        ]
    )
    operator_from: Peers = field(
        default_factory=lambda: [
            {
                "namespaceSelector": {},
                "podSelector": {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}},
            }
        ]
    )
    api_server: list[Cidr] = field(default_factory=list)
    api_server_port: Annotated[int, Field(ge=1, le=65535)] = 6443
    egress: Egress = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Monitoring:
    """What Prometheus and Grafana are given.

    Attributes:
        pod_monitor: Make a PodMonitor, for the Prometheus operator.
        rules: Make a PrometheusRule of the alerts.
        dashboard: Make a ConfigMap of each dashboard, with the label `grafana_dashboard`.
        labels: Labels by which Prometheus finds them.
        interval: How often metrics are read.
    """

    pod_monitor: bool = False
    rules: bool = False
    dashboard: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    interval: Annotated[str, Field(pattern=r"^[0-9]+(ms|s|m)$")] = "30s"


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class History:
    """Ray's own history server, which the operator's feature gate `RayClusterHistoryServer` allows.

    Attributes:
        image: Of its collector; none where it is empty.
        env: Its variables, such as where it writes.
    """

    image: str = ""
    env: Variables = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Ingress:
    """A way in from outside, by an Ingress.

    Attributes:
        enabled: Whether there is one.
        class_name: Its class.
        host: The name that it answers to.
        tls_secret: Name of a Secret with its certificate.
        annotations: For the controller: tasks are bodies of up to 2 GiB.
    """

    enabled: bool = False
    class_name: Name = ""
    host: Annotated[str, Field(pattern=r"^(\*\.)?([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")] = ""
    tls_secret: Name = ""
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Gateway:
    """A way in from outside, by an HTTPRoute of the Gateway API.

    Attributes:
        enabled: Whether there is one.
        parent_refs: The gateways that it hangs on.
        hostnames: The names that it answers to.
    """

    enabled: bool = False
    parent_refs: FreeList = field(default_factory=list)
    hostnames: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Weights:
    """Weights of an encoder that does not come with nacre, at `/weights` in every pod.

    Attributes:
        existing_claim: Name of a PersistentVolumeClaim that holds them.
        image: Of an image that holds nothing else, mounted as a volume; Kubernetes 1.35, or the
            feature gate `ImageVolume`.
        url: Where each pod loads a file from when it starts.
        sha256: Of that file.
    """

    existing_claim: Name = ""
    image: str = ""
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    sha256: Sha256 = ""


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Test:
    """What `helm test` does: a task is submitted, asked for, and rolled back.

    Attributes:
        adapter: Under which adapter, which `config.serve.adapters` names; one of its own, so that
            no other adapter changes. There is no test where it is empty.
        timeout_seconds: Longest time for all of it.
    """

    adapter: str = "chart-test"
    timeout_seconds: Annotated[int, Field(ge=1)] = 900


def _head() -> Pod:
    return Pod(resources=_sized("1", "3Gi", "2"), shared_memory="512Mi")


@dataclass(frozen=True, kw_only=True, config=CLOSED)
class Values:
    """Everything.

    Attributes:
        name_override: In place of the chart's name in names.
        fullname_override: The name of everything, in place of release and chart.
        global: Shared by charts of a release.
        image: The images.
        config: The configuration, as in nacre.yaml. A change of it changes in place what runs, but
            for `serve.host` and `serve.port`, which need other pods. What it does not say of the
            numbers of replicas and encoders and of `placement` follows from `groups`.
        auth: The tokens.
        store: The way to the object store.
        service_account: Who the pods are.
        ray_version: The Ray in the image.
        head: The head of the Ray cluster, on which nothing of nacre is placed.
        groups: The groups of pods.
        autoscaler: Resources of the autoscaler beside the head.
        drain_seconds: Time between a pod's end being said and its stop: what sends requests learns
            of it meanwhile, and those under way are answered.
        termination_grace_period_seconds: Longest time that a pod takes to stop.
        upgrade: What happens when pods change.
        gcs_fault_tolerance: What a new head knows.
        pod_disruption_budget: Whether at most one pod that serves is taken away at a time.
        network_policy: Who reaches what.
        monitoring: For Prometheus and Grafana.
        history: Ray's history server.
        ingress: A way in by an Ingress.
        gateway: A way in by an HTTPRoute.
        service_annotations: Of the Service in front of the API.
        service_type: Its type.
        weights: Weights of an encoder.
        test: What `helm test` does.
    """

    name_override: Name = ""
    fullname_override: Name = ""
    global_: Annotated[Global, Field(alias="global")] = field(default_factory=Global)
    image: Images = field(default_factory=Images)
    config: Free = field(default_factory=lambda: CONFIG)
    auth: Auth = field(default_factory=Auth)
    store: Store = field(default_factory=Store)
    service_account: ServiceAccount = field(default_factory=ServiceAccount)
    ray_version: str = field(default_factory=lambda: version("ray"))
    head: Pod = field(default_factory=_head)
    groups: Groups = field(default_factory=Groups)
    autoscaler: Resources = field(default_factory=lambda: _sized("200m", "512Mi", "500m"))
    drain_seconds: Seconds = 10
    termination_grace_period_seconds: Seconds = 120
    upgrade: Upgrade = field(default_factory=Upgrade)
    gcs_fault_tolerance: GcsFaultTolerance = field(default_factory=GcsFaultTolerance)
    pod_disruption_budget: bool = True
    network_policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    monitoring: Monitoring = field(default_factory=Monitoring)
    history: History = field(default_factory=History)
    ingress: Ingress = field(default_factory=Ingress)
    gateway: Gateway = field(default_factory=Gateway)
    service_annotations: dict[str, str] = field(default_factory=dict)
    service_type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    weights: Weights = field(default_factory=Weights)
    test: Test = field(default_factory=Test)
