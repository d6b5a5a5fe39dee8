"""Calls that measure versions, and that say by which methods tasks can be learnt."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from adapters.contract.thresholds import check_rate
from adapters.errors import InputError
from cluster.client.remote.call import Call, look, path_to
from cluster.client.remote.part import CallPart
from cluster.client.remote.readings import Lines
from cluster.client.remote.submissions import UPLOAD_S
from cluster.wire.lasting import LINES
from cluster.wire.methods import DescribedEncoder, DescribedMethod
from cluster.wire.outputs.measured import MeasuredAdapters
from workers.progress_callbacks import StepCallback, unreported

PAGE = "report.html"


class MeasuringCalls(CallPart):
    """Measures versions; `adapter` is the configured one where it is None."""

    def evaluate(
        self,
        *,
        adapter: str | None = None,
        versions: str = "",
        tasks: Sequence[str] = (),
        sets: Mapping[str, str] | None = None,
        reject: float | None = None,
        report: Path | None = None,
        on_step: StepCallback = unreported,
    ) -> Call[MeasuredAdapters]:
        """Measure versions on test images, and return how they answer.

        Args:
            adapter: Whose versions; the configured one where None.
            versions: `1..5`, numbers and aliases with commas between, or nothing for all.
            tasks: Names of tasks or ids of submissions that are measured besides those of `head`,
                or of the newest of the versions where `head` is none of them; learnt or not.
            sets: Further images by the name of their set, at addresses s3://… on the server of the
                system's own store.
            reject: Also measure which images are of none of the learnt classes, at this rate of
                false alarms, above 0 and up to 0.2; None for not.
            report: Folder for the files of a report, made where it is missing; None for no report.
            on_step: Called with what is being done, units of it done and units in all.

        Raises:
            InputError: a range that cannot be read, a version of which a task was purged, a set of
                this machine, or no rate of false alarms.
            NotFoundError: no such version, task or set, or no test images.
            UnavailableError: test images have not been embedded by the system's encoder.
            ImageError: a file of a set is no image.
        """
        if reject is not None:
            check_rate(reject)  # JSON could not say some of what is none
        for name, source in (sets or {}).items():
            if "://" not in source:
                raise InputError(
                    f"expected images of {name!r} in the system's own store (s3://…), found a path "
                    "of this machine; over HTTP, sets are not sent along",
                    name=name,
                )
        files: dict[str, bytes] = {}

        def reading(_: Mapping[str, str]) -> Lines:
            files.clear()
            return Lines(MeasuredAdapters, on_step=on_step, files=files)

        def written(found: MeasuredAdapters) -> MeasuredAdapters:
            return found if report is None else _with_report(found, report, files)

        return Call(
            kind=MeasuredAdapters,
            verb="POST",
            path=self._of(adapter, "evaluate"),
            accepts=LINES,
            arguments={
                "json": {
                    "versions": versions,
                    "tasks": list(tasks),
                    "sets": dict(sets or {}),
                    **({} if reject is None else {"reject": float(reject)}),
                    "report": report is not None,
                }
            },
            reads=reading,
            becomes=written,
            timeout_s=UPLOAD_S,
        )

    def methods(self) -> Call[list[DescribedMethod]]:
        """Return the methods that an adapter can name, with the JSON schema of their settings."""
        return look(list[DescribedMethod], path_to("methods"))

    def encoders(self) -> Call[list[DescribedEncoder]]:
        """Return the encoder that embeds images, and those that come with nacre."""
        return look(list[DescribedEncoder], path_to("encoders"))


def _with_report(
    found: MeasuredAdapters, folder: Path, files: Mapping[str, bytes]
) -> MeasuredAdapters:
    """Write the files of a report into a folder, and return what was measured with its page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / PurePath(name).name).write_bytes(content)
    return found.model_copy(update={"reports": [str(folder / PAGE)]})
