"""What `helm test` does: learn a small task, ask for it, learn another one, and roll back.

The system is at NACRE_URL, the adapter is CHECKED_ADAPTER, and NACRE_TOKEN is an operator's there.
"""

import os
import shutil
import tempfile
import time
from pathlib import Path

import yaml

import nacre
from cluster.examples import EXAMPLES

ADAPTER = os.environ["CHECKED_ADAPTER"]
LONGEST_S = float(os.environ.get("CHECKED_SECONDS", "900"))
CLASSES = {"0": "zero", "1": "one"}


def task_file(folder: Path, name: str) -> Path:
    """Write a task of two digits into `folder`, and return its file."""
    for split in ("train", "test"):
        for key in CLASSES:
            shutil.copytree(EXAMPLES / "digits" / split / key, folder / name / split / key)
    written = {"name": name, "prompt": "the handwritten digit {}.", "classes": CLASSES}
    written |= {"images": "train", "held_out": "test", "shared_names": "keep"}
    file = folder / name / "task.yaml"
    file.write_text(yaml.safe_dump(written))
    return file


def learnt(client: nacre.RemoteClient, file: Path) -> int:
    """Submit a task, wait until it is published, and return its version."""
    submission = client.submit(file, adapter=ADAPTER).submission.submission_id
    print(f"{submission}: accepted", flush=True)
    for state in client.watch(submission, timeout_s=LONGEST_S):
        print(f"{submission}: {state.stage}", flush=True)
    if state.stage != "published":
        raise SystemExit(f"expected {submission} to be published, found {state.stage}: {state}")
    return client.versions(ADAPTER)[0].number


def answered(client: nacre.RemoteClient, expected: int, image: Path) -> None:
    """Ask until the answer is of the expected version, for a minute."""
    for _ in range(60):
        try:
            answer = client.predict([image], adapter=ADAPTER)
        except nacre.NacreError as error:  # no replica follows it yet
            found = str(error)
        else:
            found = answer.version
            if found == f"{ADAPTER}@{expected}":
                print(f"{found}: {answer.results[0].predictions[0].label}", flush=True)
                return
        time.sleep(1)
    raise SystemExit(f"expected answers of {ADAPTER}@{expected}, found {found}")


with tempfile.TemporaryDirectory() as folder, nacre.RemoteClient(insecure=True) as client:
    marked = int(time.time())
    files = [task_file(Path(folder), f"check-{marked}-{each}") for each in ("first", "second")]
    image = sorted(files[0].parent.glob("test/1/*"))[0]
    first = learnt(client, files[0])
    answered(client, first, image)
    answered(client, learnt(client, files[1]), image)
    client.rollback(first, adapter=ADAPTER, why="helm test")
    answered(client, first, image)
    print("rolled back: all is as it should be")
