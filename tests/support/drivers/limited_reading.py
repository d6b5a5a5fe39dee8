"""A process with little memory that reads costly sources, and writes a line of JSON for each.

Its address space is what it has after the imports, and what the costliest source may take.
The argument is a folder of these sources; they are read there, and as objects of a store.
"""

import json
import resource
import sys
import time
from pathlib import Path

import pyarrow.parquet  # noqa: F401 - what a library takes is not what a list takes

from adapters.errors import NacreError
from tests.support.drivers.own_memory import forget_peak, status_bytes
from tests.support.scenes.costly_sources import COSTLY
from workers.sources import read_source
from workers.store import FileStore

ALLOWED_BYTES = 512 * 2**20


def main() -> None:
    """Read every costly source in both places, and say what came of it and what it cost."""
    folder = Path(sys.argv[1])
    store = FileStore(folder)
    most = status_bytes("VmSize") + ALLOWED_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for name, costly in COSTLY.items():
        sources = {"local": str(folder / name), "stored": f"s3://bucket/{name}"}
        for place in costly.places:
            source = sources[place]
            before, started = forget_peak(), time.process_time()
            try:
                survey = read_source(source, opener=lambda _: store).survey
                found: dict[str, object] = {"used": survey.used}
            except NacreError as error:
                found = {"message": error.message}
            cost = {
                "peak_bytes": status_bytes("VmHWM") - before,
                "cpu_s": round(time.process_time() - started, 3),
            }
            sys.stdout.write(json.dumps({"name": name, "place": place} | found | cost) + "\n")


if __name__ == "__main__":
    main()
