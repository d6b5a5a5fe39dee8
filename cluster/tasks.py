"""Task files whose images may lie anywhere: the one place that gives them every object store."""

from pathlib import Path

from cluster.stores import open_store
from workers import task
from workers.task import Task


def load_task(path: Path | str, *, method: str = "lada") -> Task:
    """Return the task that the file at `path` describes; its images are named, not read.

    Args:
        path: The task file.
        method: What the settings are those of.

    Raises:
        InputError: the file, or a source of images that it names, is missing or wrong.
        UnavailableError: an object store cannot be reached.
    """
    return task.load_task(Path(path), opener=open_store, method=method)
