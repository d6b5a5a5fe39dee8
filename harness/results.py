"""Results of runs in a folder: each task as soon as it is measured, so that a run resumes.

    runs/LABEL-ORDER-SEED-KEY/000.record      the first task's record, as it would be published
    runs/LABEL-ORDER-SEED-KEY/000.shared      its version's shared state, where the method has one
    runs/LABEL-ORDER-SEED-KEY/000.json        what was measured after it
    runs/LABEL-ORDER-SEED-KEY/run.json        everything, once the last task was measured

The key names everything that the run depends on. A run of another key is another run: changing the
suite never mixes figures of two suites.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from adapters.contract.adapter_state import AdapterState, decode_shared, encode_shared
from adapters.contract.records import Record, decode_record, encode_record
from adapters.errors import CorruptionError
from adapters.methods import measured_method
from harness.files import write_whole
from harness.labelled import ImageSet, listing_digest
from harness.sequence import Begun
from harness.sequence_run import SequenceRun, Step
from harness.suite import MethodConfig, Suite, settings_for

RUN, STEP = TypeAdapter(SequenceRun), TypeAdapter(Step)
FORMAT = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class RunName:
    """One run of a suite.

    Attributes:
        title: Of the method's line.
        order: Name of the order of the sets.
        seed: Of the method and of the drawing of images.
    """

    title: str
    order: str
    seed: int

    def __str__(self) -> str:
        return f"{self.title}, order {self.order}, seed {self.seed}"


def run_names(suite: Suite) -> list[RunName]:
    """Return all runs of `suite`, in the order in which they are measured.

    Seed by seed, so that one which is stopped has whole tables of fewer seeds.
    """
    return [
        RunName(title=line.title, order=order, seed=seed)
        for seed in suite.seeds
        for order in suite.orders
        for line in suite.methods
    ]


def line_titled(suite: Suite, title: str) -> MethodConfig:
    """Return the line of the table with this title."""
    return next(line for line in suite.methods if line.title == title)


def file_name(*parts: str) -> str:
    """Return `parts` as a name that every file system takes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(parts).lower())


def run_key(
    suite: Suite, name: RunName, images: Mapping[str, ImageSet], *, fingerprint: str
) -> str:
    """Return 12 hexadecimal digits that name everything a run depends on."""
    line = line_titled(suite, name.title)
    sets = [suite.set_named(one) for one in suite.orders[name.order]]
    facts = {
        "format": FORMAT,
        "encoder": fingerprint,
        "method": line.method,
        "settings": [
            dict(measured_method(line.method).check_settings(settings_for(line, one)))
            for one in sets
        ],
        "seed": name.seed,
        "shots": suite.shots,
        "candidates": suite.candidates,
        "views": [[one.views or suite.views, one.augmentation] for one in sets],
        "sets": [
            [
                one.name,
                images[one.name].classes,
                listing_digest(images[one.name].train),
                listing_digest(images[one.name].test),
            ]
            for one in sets
        ],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


class RunFolder:
    """The folder of one run.

    Args:
        results: The folder of the suite's results.
        name: Of the run.
        key: Of `run_key`.
    """

    # Owns: the files of one folder. Each is written whole and then renamed.

    def __init__(self, results: Path, name: RunName, key: str) -> None:
        label = file_name(name.title, name.order, str(name.seed))
        self._folder = results / "runs" / f"{label}-{key}"

    def finished(self) -> SequenceRun | None:
        """Return what the run gave; None while it has not been finished.

        Raises:
            CorruptionError: the file is not what was written.
        """
        path = self._folder / "run.json"
        return _read(RUN, path) if path.is_file() else None

    def begun(self) -> Begun:
        """Return the version of the tasks that are done, and what was measured after each."""
        records, steps = list[Record](), list[Step]()
        shared = None
        while (path := self._folder / f"{len(steps):03}.json").is_file():
            records.append(decode_record(path.with_suffix(".record").read_bytes()))
            kept = path.with_suffix(".shared")
            shared = decode_shared(kept.read_bytes()) if kept.is_file() else None
            steps.append(_read(STEP, path))
        return Begun(state=AdapterState(records=tuple(records), shared=shared), steps=tuple(steps))

    def keep(self, place: int, state: AdapterState, step: Step) -> None:
        """Keep what the version after task `place` adds, and then what was measured of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._folder / f"{place:03}.record", encode_record(state.records[-1]))
        if state.shared is not None:
            write_whole(self._folder / f"{place:03}.shared", encode_shared(state.shared))
        write_whole(self._folder / f"{place:03}.json", json.dumps(asdict(step)))

    def finish(self, run: SequenceRun) -> None:
        """Keep the whole run; records of its tasks are not needed any more."""
        write_whole(self._folder / "run.json", json.dumps(asdict(run)))
        for path in self._folder.glob("[0-9]*"):
            path.unlink()


def _read(kind: TypeAdapter[Any], path: Path) -> Any:
    try:
        return kind.validate_json(path.read_bytes())
    except ValidationError as error:
        raise CorruptionError(
            f"{path} is not what was written there; remove it, and its run is measured again",
            path=str(path),
        ) from error


def orders_and_runs(
    suite: Suite, runs: Mapping[RunName, SequenceRun]
) -> Mapping[str, Mapping[str, Sequence[SequenceRun]]]:
    """Return finished runs by order and title, seeds in their order."""
    return {
        order: {
            line.title: [
                runs[name]
                for seed in suite.seeds
                if (name := RunName(title=line.title, order=order, seed=seed)) in runs
            ]
            for line in suite.methods
        }
        for order in suite.orders
    }


def candidates_at_the_end(lines: Mapping[str, Sequence[SequenceRun]]) -> int | None:
    """Return among how many classes the last versions of an order chose; None if nobody knows.

    Args:
        lines: The runs of the order, by the titles of their methods.
    """
    counts = (run.finish.candidates for runs in lines.values() for run in runs)
    return next((count for count in counts if count is not None), None)
