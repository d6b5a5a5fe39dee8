"""Metrics of a replica in the text format that Prometheus reads."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one replica."""

    # Owns: a registry of its own, so that two services in one process do not share counters.

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nacre_requests", "Requests answered.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "nacre_request_seconds",
            "Seconds from a request to its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "nacre_batch_images",
            "Images embedded together.",
            buckets=SIZES,
            registry=self._registry,
        )
        self._forward = Histogram(
            "nacre_forward_seconds", "Seconds of a batch.", buckets=SECONDS, registry=self._registry
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, images: int, seconds: float) -> None:
        """Count a batch that was embedded."""
        self._batches.observe(images)
        self._forward.observe(seconds)

    def text(self) -> bytes:
        """Return everything that was counted."""
        return generate_latest(self._registry)
