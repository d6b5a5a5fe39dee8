"""Families of metrics: name, kind, labels and meaning of everything that nacre counts.

Names are as Prometheus' conventions have them: base units, `_total` where something is counted.
Labels are bounded: an adapter is one of those that are served or learnt, a task one of the first
`MOST_TASKS` of a process, and what is none of them is `other`.
"""

from dataclasses import dataclass
from enum import Enum

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
MINUTES = (1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
MOST_TASKS, MOST_ADAPTERS = 200, 50
OTHER = "other"
"""The label of what has none of its own."""


class Kind(Enum):
    """What a family holds."""

    COUNTER = "counter"  # only grows
    GAUGE = "gauge"  # goes up and down
    HISTOGRAM = "histogram"  # how often a value was at most as large as each of its bounds


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Family:
    """One family of metrics; two are the same only where they are one object.

    Attributes:
        name: Unique.
        kind: What it holds.
        help: What is counted, as a sentence.
        labels: Their names, in the order in which values are given.
        bounds: Of a histogram, upwards; infinity follows by itself.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


def _counter(name: str, says: str, *labels: str) -> Family:
    return Family(name=name, kind=Kind.COUNTER, help=says, labels=labels)


def _gauge(name: str, says: str, *labels: str) -> Family:
    return Family(name=name, kind=Kind.GAUGE, help=says, labels=labels)


def _histogram(name: str, bounds: tuple[float, ...], says: str, *labels: str) -> Family:
    return Family(name=name, kind=Kind.HISTOGRAM, help=says, labels=labels, bounds=bounds)


# Serving, counted by replicas.

REQUESTS = _counter(
    "nacre_requests_total",
    "Requests that a replica has answered, by route, status, and adapter where it serves it.",
    "route",
    "code",
    "adapter",
)
REQUEST_SECONDS = _histogram(
    "nacre_request_duration_seconds", SECONDS, "Time from a request to its answer.", "route"
)
INFLIGHT = _gauge("nacre_inflight_requests", "Requests that a replica is answering now.", "replica")
BATCHES = _counter(
    "nacre_batches_total",
    "Batches that were embedded, by why no more images were waited for: `full`, or `drained` where "
    "no other image waited.",
    "closed",
)
BATCH_IMAGES = _histogram("nacre_batch_images", SIZES, "Images that were embedded together.")
FORWARD_SECONDS = _histogram(
    "nacre_forward_duration_seconds", SECONDS, "Time of the forward of a batch."
)
DECODE_SECONDS = _histogram(
    "nacre_decode_duration_seconds", SECONDS, "Time to decode an image of a request."
)
PREDICTIONS = _counter(
    "nacre_predictions_total",
    "Images answered, by the task of the best candidate; `other` where nobody has learnt it.",
    "adapter",
    "task",
)
CONFIDENCE = _histogram(
    "nacre_prediction_confidence", SHARES, "Probability of the best candidate.", "adapter"
)
VERSION_INFO = _gauge(
    "nacre_version_info",
    "1 for the version that a replica answers with.",
    "adapter",
    "version",
    "digest",
    "replica",
)
VERSION_NUMBER = _gauge(
    "nacre_version_number",
    "Number of the version that a replica answers with for an alias.",
    "adapter",
    "alias",
    "replica",
)
VERSION_CREATED = _gauge(
    "nacre_version_created_timestamp_seconds",
    "When the version that a replica answers with was published.",
    "adapter",
    "replica",
)
STALENESS = _gauge(
    "nacre_version_staleness_seconds",
    "For how long a replica has not been able to see where `production` points.",
    "adapter",
    "replica",
)
SWAP_SECONDS = _histogram(
    "nacre_swap_duration_seconds",
    SECONDS,
    "Time in which a replica has seen that `production` had moved, and gone there.",
    "adapter",
)
REFUSALS = _counter(
    "nacre_refusals_total", "Versions that a replica could not load, when it found out.", "adapter"
)
REFUSED_VERSION = _gauge(
    "nacre_refused_version",
    "Number of the version in production that a replica cannot load; 0 where it can.",
    "adapter",
    "replica",
)
TASK_ACCURACY = _gauge(
    "nacre_task_accuracy_ratio",
    "Accuracy on the test images of a task, of the version that answers.",
    "adapter",
    "task",
)

# The queue, counted by the coordinator.

SUBMISSIONS = _gauge(
    "nacre_submissions", "Submissions that have not ended, by stage.", "stage", "adapter"
)
OLDEST_AGE = _gauge(
    "nacre_oldest_submission_age_seconds",
    "Time since the oldest submission was accepted that has not ended and is not paused; 0 where "
    "there is none.",
)
UNDER_WAY = _gauge("nacre_submissions_under_way", "Submissions that somebody works on.")
STAGE_SECONDS = _histogram(
    "nacre_stage_duration_seconds", MINUTES, "Time that a submission was in a stage.", "stage"
)
ATTEMPTS = _counter(
    "nacre_attempts_total",
    "Stages that did not end well, by why; only `fault`, `missing` and `input` use up attempts.",
    "stage",
    "reason",
)
ENDED = _counter("nacre_submissions_ended_total", "Submissions that have ended.", "outcome")
GATE = _counter(
    "nacre_gate_total", "Versions that the gate has let pass or refused.", "adapter", "verdict"
)
LEAD = _gauge(
    "nacre_coordinator_lead",
    "1 where this system coordinates the queue; 0 where another does or nobody can.",
)
EPOCH = _gauge("nacre_coordinator_epoch", "Epoch of the lead of this system; 0 without one.")
COORDINATOR_TROUBLE = _gauge(
    "nacre_coordinator_trouble_seconds",
    "For how long something has kept this system from coordinating; 0 where nothing does.",
)
SHARDS_WAITING = _gauge(
    "nacre_shards_waiting", "Shards that were handed to the shard encoders and are not embedded."
)

# Learning, counted by the roles.

IMAGES_ENCODED = _counter(
    "nacre_images_encoded_total", "Images of tasks that were embedded.", "device"
)
TRAINING_STEPS = _counter("nacre_training_steps_total", "Steps of trainings.", "method")

# The store, counted by every process that uses it.

STORE_REQUESTS = _counter(
    "nacre_store_requests_total",
    "Operations on the object store, repeats included in each, by what came of them.",
    "operation",
    "result",
)
STORE_SECONDS = _histogram(
    "nacre_store_request_duration_seconds",
    SECONDS,
    "Time of an operation on the object store, repeats and waits between them included.",
    "operation",
)

CREDENTIALS_LEFT = _gauge(
    "nacre_credentials_left_seconds",
    "For how long the credentials of the store that a process uses still count; 0 where they have "
    "ended. Where they have no end, there is none.",
    "source",
    "replica",
)
CREDENTIALS_TROUBLE = _gauge(
    "nacre_credentials_trouble_seconds",
    "For how long a process has asked for credentials of the store in vain; 0 where it has not.",
    "source",
    "replica",
)
CREDENTIAL_ANSWERS = _counter(
    "nacre_credential_answers_total",
    "Answers of whoever gives credentials of the store: `given`, `refused`, `unanswered`, or "
    "`ended` where they had ended before they came.",
    "source",
    "answer",
)

BUILD = _gauge("nacre_build_info", "1 for what runs.", "version", "commit")

FAMILIES: tuple[Family, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Family)
)
"""All of them, in this order."""
