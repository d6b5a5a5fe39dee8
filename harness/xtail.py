"""X-TAIL, cross-domain task-agnostic incremental learning: all runs of a suite, and its tables.

A suite with a split is class-incremental learning: one set, its classes divided into the tasks.

Every run is independent of every other, so that several machines may take some each; all that they
share is a folder of features and one of results.

Protocol: Xu et al., NeurIPS 2024 (RAIL), as Luo et al., ICML 2025 (LADA) use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from adapters.adapter import UnseenClasses
from adapters.contract.adapter_state import AdapterState
from adapters.contract.class_entry import ClassEntry
from adapters.methods import measured_method
from harness.image_sets import divided, find_image_sets
from harness.labelled import ImageSet
from harness.measured_set import (
    Drawing,
    Embedding,
    MeasuredSet,
    accuracies_of,
    few_shot,
    unseen_of,
    with_views,
)
from harness.results import RunFolder, RunName, line_titled, run_key, run_names
from harness.sequence import run_sequence
from harness.sequence_run import SequenceRun, Step
from harness.suite import Suite, settings_for
from workers.encoding.encoder import Encoder
from workers.images.views import Views
from workers.learning.evaluation import Predicted, nearest_by_text
from workers.progress_callbacks import StepCallback, unreported


@dataclass(frozen=True, kw_only=True, slots=True)
class ZeroShotFigures:
    """What the encoder alone gives, with the classes of all sets as candidates.

    Attributes:
        accuracies: Percent, by set.
        alike: The same where a class of the same name counts as right.
    """

    accuracies: Mapping[str, float]
    alike: Mapping[str, float]

    @property
    def mean(self) -> float:
        """Mean over the sets."""
        return fmean(self.accuracies.values())


class Xtail:
    """A suite under its encoder, on this machine.

    Args:
        suite: What is measured; with a split, its sets are divided into tasks here.
        results: The folder of results.
        cache: The folder of features; several suites may share one.
        device: Where images are embedded.

    Attributes:
        missing: The sets of the suite that are not there, which are left out, by name: what was
            expected where.

    Raises:
        NotFoundError: all image sets are missing.
        SettingsError: the classes of a set cannot be divided as the suite says.
    """

    # Owns: the encoder, the listing of images, and the sets of one seed and order at a time.

    def __init__(
        self, suite: Suite, *, results: Path, cache: Path, device: str = "cpu", threads: int = 2
    ) -> None:
        found = find_image_sets(suite)
        images = {name: _with_tests(one, suite.tests) for name, one in found.images.items()}
        self.missing = found.missing
        self.suite, self.images = divided(found.of(suite), images)
        self._results = results
        encoder = Encoder(suite.encoder, device=device)
        self._embedding = Embedding(encoder, cache=cache, threads=threads)
        self._sets: dict[tuple[int, str], MeasuredSet] = {}

    @property
    def encoder(self) -> Encoder:
        """What embeds the images."""
        return self._embedding.encoder

    @property
    def fingerprint(self) -> str:
        """Names the encoder."""
        return self.encoder.fingerprint

    def classes(self) -> list[ClassEntry]:
        """Return the classes of all sets."""
        seed = self.suite.seeds[0]
        return [
            entry
            for one in self.suite.sets
            for entry in self._measured(one.name, seed, unreported).task.classes
        ]

    def embed(self, report: StepCallback) -> None:
        """Embed all images that any run needs."""
        for seed in self.suite.seeds:
            for one in self.suite.sets:
                self._measured(one.name, seed, report)

    def measured_sets(self, order: str, seed: int) -> list[MeasuredSet]:
        """Return the sets of an order as the runs of a seed learn them and are measured on them."""
        return [self._measured(name, seed, unreported) for name in self.suite.orders[order]]

    def zero_shot(self, order: str) -> ZeroShotFigures:
        """Return what the encoder alone gives; where names tie, the first in `order` wins."""
        sets = self.measured_sets(order, self.suite.seeds[0])
        classes = unseen_of(sets)
        assert classes is not None
        found = {one.task.task: accuracies_of(_by_text(one, classes).classes, one) for one in sets}
        return ZeroShotFigures(
            accuracies={name: 100 * same for name, (same, _) in found.items()},
            alike={name: 100 * alike for name, (_, alike) in found.items()},
        )

    def folder(self, name: RunName) -> RunFolder:
        """Return where a run's results are."""
        key = run_key(self.suite, name, self.images, fingerprint=self.fingerprint)
        return RunFolder(self._results, name, key)

    def finished(self) -> dict[RunName, SequenceRun]:
        """Return the runs that have been finished."""
        return {
            name: run
            for name in run_names(self.suite)
            if (run := self.folder(name).finished()) is not None
        }

    def run(self, name: RunName, report: StepCallback = unreported) -> SequenceRun:
        """Measure one run, from where it was stopped; nothing is done twice."""
        folder = self.folder(name)
        known = folder.finished()
        if known is not None:
            return known
        line = line_titled(self.suite, name.title)
        method, order = measured_method(line.method), self.suite.orders[name.order]
        settings = [settings_for(line, self.suite.set_named(one)) for one in order]
        sets = [
            with_views(self._measured(one, name.seed, report), self._views(one, line.method, each))
            for one, each in zip(order, settings, strict=True)
        ]
        done = folder.begun()
        report(str(name), len(done.steps), len(order))

        def keep(state: AdapterState, step: Step) -> None:
            place = len(state.records) - 1
            folder.keep(place, state, step)
            report(str(name), place + 1, len(order))

        run = run_sequence(
            method,
            sets,
            settings=settings,
            seed=name.seed,
            candidates=self.suite.candidates,
            done=done,
            keep=keep,
        )
        folder.finish(run)
        return run

    def _measured(self, name: str, seed: int, report: StepCallback) -> MeasuredSet:
        # Without drawing, all seeds learn from the same images.
        of_seed = seed if self.suite.shots is not None else 0
        if (of_seed, name) not in self._sets:
            one = self.suite.set_named(name)
            views = Views(count=one.views or self.suite.views, augmentation=one.augmentation)
            drawing = Drawing(shots=self.suite.shots, seed=of_seed, views=views)
            self._sets[of_seed, name] = self._embedding.measured(
                self.images[name],
                drawing,
                progress=lambda done, total: report(f"embedding {name}", done, total),
            )
        return self._sets[of_seed, name]

    def _views(self, name: str, method: str, settings: Mapping[str, object]) -> int:
        """Return how many views of a set's images a method learns from: no more than there are."""
        one = self.suite.set_named(name)
        return min(one.views or self.suite.views, measured_method(method).views(settings))


def _with_tests(one: ImageSet, most: int | None) -> ImageSet:
    """Return a set with at most so many test images of a class."""
    if most is None:
        return one
    return replace(one, test=few_shot(one.test, one.classes, shots=most, seed=0))


def _by_text(measured: MeasuredSet, classes: UnseenClasses) -> Predicted:
    return nearest_by_text(measured.test_features, classes, logit_scale=measured.text.logit_scale)
