"""The files that forges and hooks read: they run the commands that people are told of."""

import os
import tomllib
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text())


def test_the_workflow_runs_everything_on_the_oldest_python_and_the_two_after_it() -> None:
    (job,) = read(".github/workflows/ci.yml")["jobs"].values()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    oldest = int(project["requires-python"].removeprefix(">=3."))
    assert job["strategy"]["matrix"]["python"] == [f"3.{oldest + n}" for n in range(3)]
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


def test_the_hook_before_a_commit_is_make_lint_and_fetches_nothing() -> None:
    (repository,) = read(".pre-commit-config.yaml")["repos"]
    (hook,) = repository["hooks"]
    assert repository["repo"] == "local"
    assert (hook["language"], hook["entry"]) == ("system", "make lint")
    assert (hook["always_run"], hook["pass_filenames"]) == (True, False)
    assert "\nlint:" in (ROOT / "Makefile").read_text()
