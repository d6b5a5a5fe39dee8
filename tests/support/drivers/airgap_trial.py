"""A machine without a network: installed from the folder that was gathered, and used."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row
from tests.support.drivers.image_trial import ROOT

WEIGHTS = ROOT / "workers" / "encoding" / "tiny_clip"
ISOLATED = ("unshare", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c")
"""In a network and a process tree of its own; what it leaves running ends with it."""
SCRIPT = """
set -eu
exec 2> "$1/said"
ip link set lo up
ip route show table all type unicast | wc -l > "$1/routes"
cd "$1"
own="env -i PATH=$PATH HOME=$1 PYTHON=$3"
$own sh "$2/install.sh" "$1/nacre" > "$1/said-installed"
nacre="$own $1/nacre/bin/nacre --config $1/nacre.yaml"
examples=$(echo "$1"/nacre/lib/python3*/site-packages/cluster/examples)
$nacre up --detach > "$1/said-started"
$nacre submit "$examples/clip-art/task.yaml" --wait > "$1/said-learnt"
$nacre predict "$examples"/clip-art/test/bird/* --output json > "$1/answer.json"
$nacre down
"""


def gathered(folder: Path) -> Iterator[Row]:
    """Gather wheels and weights into `folder`, where they are not there already."""
    if (folder / "SHA256SUMS").is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    print("gathering wheels and weights", flush=True)
    begun = time.monotonic()
    script = ROOT / "deploy" / "airgap" / "bundle.sh"
    done = subprocess.run(
        ["sh", script, folder, "--weights", WEIGHTS],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"bundle.sh ended with {done.returncode}: {done.stderr[-3000:]}")
    yield Row(figure="wheels and weights gathered in", value=time.monotonic() - begun, unit="s")
    bytes_ = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    yield Row(figure="size of the folder", value=bytes_ / 1e6, unit="MB")
    yield Row(figure="wheels in it", value=len(list((folder / "wheels").glob("*.whl"))))


def installed(folder: Path) -> Iterator[Row]:
    """Install from `folder` where there is no route to anywhere, learn and ask there."""
    print("installing where there is no network", flush=True)
    with tempfile.TemporaryDirectory(prefix="nacre-", dir="/var/tmp") as name:
        target = Path(name)
        weights = folder / "weights" / WEIGHTS.name
        (target / "nacre.yaml").write_text(f"encoder: {{model: {weights}}}\n")
        begun = time.monotonic()
        done = subprocess.run(
            [*ISOLATED, SCRIPT, "sh", target, folder, sys.executable],
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        if done.returncode != 0:
            told = [file.read_text()[-2000:] for file in target.glob("said*")]
            raise RuntimeError(f"without a network: ended with {done.returncode}: {told}")
        routes = (target / "routes").read_text().strip()
        yield Row(figure="routes of the machine", value=routes, bar="0", holds=routes == "0")
        answer = json.loads((target / "answer.json").read_text())["version"]
        yield Row(
            figure="learnt, and answered by", value=answer, bar="main@1", holds=answer == "main@1"
        )
        yield Row(figure="installed, learnt and asked in", value=time.monotonic() - begun, unit="s")
