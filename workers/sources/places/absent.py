"""Hint for missing files inside a Ray job."""

import os

JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets it for the entry point of a job and for nothing else; its name is no mistake here."""


def job_hint() -> str:
    """Return why files may be missing inside a Ray job, and the remedies; empty outside of one."""
    if JOB_VARIABLE not in os.environ:
        return ""
    return (
        " This runs inside a Ray job. Ray leaves out of working_dir what .gitignore names, and "
        "refuses packages over 512 MiB: put the images where an s3:// address leads to, or set "
        "RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1 where you call `ray job submit`."
    )
