"""Configuration discovery: this process's own, or that of the running system that it is part of.

Inside `ray job submit -- nacre submit task.yaml` there is no configuration file: the job's folder
holds the task, and the system that runs on the cluster knows the rest.
"""

import logging
import os
from pathlib import Path

from cluster.config import CONFIG, CONFIG_FILE, IN_RAY_JOB, STORE, Config, load_config


def configured(path: Path | None = None) -> Config:
    """Return the configuration as `load_config` finds it; in a job without one, the cluster's.

    Raises:
        NotFoundError: the named file does not exist.
        SettingsError: a key is unknown or has the wrong type.
    """
    own = path is not None or Path(CONFIG_FILE).is_file() or {CONFIG, STORE} & os.environ.keys()
    if own or IN_RAY_JOB not in os.environ:
        return load_config(path)
    return _of_running_system() or load_config()


def _of_running_system() -> Config | None:
    """Return the configuration of the system on the Ray around this process, if there is one."""
    import ray

    from cluster.runtime.coordinator_role import ANSWER_S, running_coordinator

    ray.init(address="auto", logging_level=logging.ERROR, log_to_driver=False)
    try:
        coordinator = running_coordinator()
        config: Config | None = coordinator and coordinator.config.remote().result(
            timeout_s=ANSWER_S
        )
    finally:
        ray.shutdown()
    return config
