"""The proof of what is deployed: `make prove-deploy`, an hour on two cores.

- `airgap`: wheels are gathered as for a machine without a network, installed and used where there
  is no route to anywhere.
- `image`: the image is built from them with buildah, today's and an older one. One
  container runs with a read-only root and no rights: it is asked from outside, killed, upgraded and
  stopped; the demo runs in one as a user that nobody knows.
- `memory`: five tasks are learnt in a container that may use 4 GB; what each role had of it.
- `compose`: the composition is brought up, its head killed, and a second cluster takes over.
- `serve`: `serve deploy` on a Ray without anything; changed in place under load, a group with GPUs
  that begins at none, the head lost.
- `cuda`: the image for machines with a GPU, built and looked at. It fetches 3 GB.

All but `serve` need root on Debian, install what is missing by apt-get, and leave neither
containers nor images. `python -m tests.prove.deploy image compose` does the parts that are named;
`--keep FOLDER` leaves wheels and images there, and takes them from there the next time.
"""

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.table import Row, report
from tests.support.drivers.airgap_trial import gathered, installed
from tests.support.drivers.compose_trial import composed
from tests.support.drivers.containers import CannotRunError, Containers, containers
from tests.support.drivers.cuda_trial import cuda_image
from tests.support.drivers.image_trial import as_another_user, built, one_container
from tests.support.drivers.memory_trial import taken
from tests.support.drivers.serve_document_trial import declared

PARTS = ("airgap", "image", "memory", "compose", "serve", "cuda")
AIRGAP, IMAGE, MEMORY, COMPOSE, SERVE, CUDA = PARTS
IN_CONTAINERS = (IMAGE, MEMORY, COMPOSE)


def main(arguments: Sequence[str] = ()) -> int:
    """Run the parts, print what was found, and return 0 when all of it holds."""
    asked = _asked(arguments)
    parts = tuple(asked.parts) or PARTS
    signal.signal(signal.SIGTERM, _interrupted)
    rows: list[Row] = []
    try:
        if SERVE in parts:
            _collect(rows, SERVE, declared)
        if set(parts) - {SERVE}:
            with containers(asked.keep) as own:
                _in_containers(own, parts, rows)
    except CannotRunError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; everything that was begun is removed\n")
        return 130
    return report("prove-deploy", rows)


def _asked(arguments: Sequence[str]) -> argparse.Namespace:
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.prove.deploy", description=about)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all where none is named"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="of wheels and images")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"expected parts of {', '.join(PARTS)}, found {', '.join(sorted(unknown))}")
    return asked


def _in_containers(own: Containers, parts: Sequence[str], rows: list[Row]) -> None:
    """Run the parts that need wheels and images; one that fails leaves the others to go on."""
    folder = own.folder / "bundle"
    if set(parts) & {AIRGAP, *IN_CONTAINERS}:
        _collect(rows, "wheels", lambda: gathered(folder))
    if AIRGAP in parts:
        _collect(rows, AIRGAP, lambda: installed(folder))
    if set(parts) - {AIRGAP, SERVE}:
        _collect(rows, "base", lambda: _base(own))
    if set(parts) & set(IN_CONTAINERS):
        _collect(rows, "build", lambda: built(own, folder / "wheels"))
    if IMAGE in parts:
        _collect(rows, IMAGE, lambda: one_container(own))
        _collect(rows, "demo", lambda: as_another_user(own))
    if MEMORY in parts:
        _collect(rows, MEMORY, lambda: taken(own))
    if COMPOSE in parts:
        _collect(rows, COMPOSE, lambda: composed(own))
    if CUDA in parts:
        _collect(rows, CUDA, lambda: cuda_image(own))


def _base(own: Containers) -> Iterator[Row]:
    begun = time.monotonic()
    if own.make_base():
        yield Row(figure="made a base of Debian", value=time.monotonic() - begun, unit="s")


def _collect(rows: list[Row], part: str, proof: Callable[[], Iterator[Row]]) -> None:
    """Add what is found to `rows`; where it ends with an error, the rest counts as not holding."""
    begun = time.monotonic()
    try:
        for row in proof():
            print(f"  {row.figure}: {row.value} {row.unit}", flush=True)
            rows.append(row)
    except (RuntimeError, TimeoutError, OSError, ValueError) as error:
        traceback.print_exc()
        rows.append(
            Row(
                figure=f"the rest of `{part}`",
                value=str(error)[:200],
                bar="runs to its end",
                holds=False,
            )
        )
    rows.append(Row(figure=f"`{part}` as a whole", value=time.monotonic() - begun, unit="s"))


def _interrupted(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
