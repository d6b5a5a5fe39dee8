"""Session of a Ray on this machine: what is said where it does not begin, and what stays."""

import shutil
import signal
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import UnavailableError

with warnings.catch_warnings():
    # Ray's own imports warn of what they use; nothing is started by them.
    warnings.simplefilter("ignore")
    import ray

    from cluster.config import Config
    from cluster.system.session import LATEST, remove_session, signals_kept
    from cluster.system.system import connect


@pytest.mark.parametrize(
    "error",
    [
        # What Ray says on a machine that is too busy, after half a minute.
        Exception("The current node timed out during startup."),
        RuntimeError("Failed to start GCS"),
        OSError(28, "No space left on device"),
    ],
    ids=["busy", "gcs", "disk"],
)
def test_a_ray_that_does_not_start_is_one_sentence_that_says_what_to_do(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def init(**_options: Any) -> None:
        raise error

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(UnavailableError) as raised:
        connect(Config())
    said = raised.value.message
    assert said.startswith(f"expected a Ray to start on this machine, and it did not ({error!r})")
    assert f"the logs in {tmp_path}/ray/{LATEST}/logs" in said
    assert "`nacre up` again" in said
    assert "\n" not in said


def sessions(folder: Path) -> dict[str, Path]:
    """Make the folders of two sessions as Ray does, and return them."""
    made = {name: folder / f"session_2026-01-0{name}" for name in ("1", "2")}
    for each in made.values():
        (each / "logs").mkdir(parents=True)
        (each / "logs" / "raylet.out").write_text("noise")
    return made


def test_the_folder_of_ones_own_session_goes_and_others_stay(tmp_path: Path) -> None:
    made = sessions(tmp_path)
    (tmp_path / LATEST).symlink_to(made["2"])
    remove_session(made["1"])
    assert not made["1"].exists()
    assert (tmp_path / LATEST / "logs" / "raylet.out").is_file()
    remove_session(made["2"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_gone_already_is_no_error(tmp_path: Path) -> None:
    made = sessions(tmp_path)
    shutil.rmtree(made["1"])
    remove_session(made["1"])
    assert made["2"].is_dir()


def test_a_stop_while_ray_starts_is_heard_by_this_process_and_not_by_ray() -> None:
    def ours(number: int, frame: object) -> None:
        del number, frame

    before = signal.signal(signal.SIGTERM, ours)
    try:
        with signals_kept():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as Ray does
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_thread_that_starts_a_ray_leaves_signals_alone() -> None:
    done = []

    def start() -> None:
        with signals_kept():
            done.append(True)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert done == [True]
