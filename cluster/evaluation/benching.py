"""Benchmark runs in parallel: Ray tasks, each of which takes up one run where it stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapters.errors import UnavailableError
from harness.results import RunName
from harness.suite import read_suite
from harness.xtail import Xtail


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteFolders:
    """Where a suite and what it needs lie; folders that all machines share.

    Attributes:
        suite: The YAML file.
        results: The folder of results.
        cache: The folder of features.
        root: The folder of image sets; None for what the suite says.
    """

    suite: Path
    results: Path
    cache: Path
    root: Path | None = None


@lru_cache(maxsize=1)
def opened(place: SuiteFolders) -> Xtail:
    """Return the suite at `place`, opened once per process."""
    import torch

    torch.set_num_threads(1)  # more take turns where runs go on beside each other
    device = "cuda" if torch.cuda.is_available() else "cpu"
    suite = read_suite(place.suite, root=place.root)
    return Xtail(suite, results=place.results, cache=place.cache, device=device)


def measured_side_by_side(
    place: SuiteFolders, names: list[RunName], *, parallel: int, address: str | None
) -> Iterator[RunName]:
    """Measure runs on Ray, at most `parallel` at once, and yield each as it is finished.

    Args:
        place: Of the suite.
        names: The runs.
        parallel: Most runs at once.
        address: Of a running Ray; None starts one on this machine.

    Raises:
        UnavailableError: a run's process died; what it had measured is kept.
    """
    import ray
    from ray.exceptions import RayError

    if address is None:
        ray.init(num_cpus=parallel, include_dashboard=False, log_to_driver=False)
    else:
        ray.init(address, log_to_driver=False)
    measure: Any = ray.remote(num_cpus=1, max_retries=1)(_measure)
    try:
        waiting, under_way = list(reversed(names)), dict[Any, RunName]()
        while waiting or under_way:
            while waiting and len(under_way) < parallel:
                name = waiting.pop()
                under_way[measure.remote(place, name)] = name
            (done,), _ = ray.wait(list(under_way), num_returns=1)
            name = under_way.pop(done)
            try:
                ray.get(done)
            except RayError as error:
                raise UnavailableError(
                    f"{name}: {error}; the same command goes on from what was measured"
                ) from error
            yield name
    finally:
        ray.shutdown()


def _measure(place: SuiteFolders, name: RunName) -> None:
    opened(place).run(name)
