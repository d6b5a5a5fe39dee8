"""A suite: image sets, their orders, the methods and the seeds, as a YAML file says it.

{name: ten-sets, root: ../data, shots: 16, seeds: [0, 1, 2],
 sets: [{name: caltech101, epochs: 20}, {name: mnist, views: 1}],
 orders: {I: [caltech101, mnist], II: [mnist, caltech101]},
 methods: [{method: zero_shot},
           {label: "LADA, residual anchors", method: lada, settings: {text: residual}}]}

With `split: {classes: 10, seed: 1993}` every set is divided into tasks by its classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from adapters.errors import SettingsError
from adapters.methods import measured_method
from harness.split import Split
from workers.encoding.encoder_settings import EncoderSettings
from workers.formats.yaml_settings import read_settings
from workers.images.views import Augmentation
from workers.tasks.task import NAME

Layout = Literal["folders", "coop", "aircraft", "mnist", "cifar", "source"]
Candidates = Literal[
    "all",  # the classes of all tasks from the beginning, as in X-TAIL
    "seen",  # the classes that have been learnt, as in class-incremental learning
]
Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
AtLeastOne = Annotated[int, Field(ge=1)]
PROMPT = "a photo of a {}."


@dataclass(frozen=True, kw_only=True, slots=True)
class SetConfig:
    """One image set.

    Attributes:
        name: Of its task.
        folder: Where its images are, relative to the suite's root; its name unless it is said. With
            the layout `source` also a list, shards, an export or an address.
        layout: How they lie there; see `harness.image_sets`.
        split: The file that says which images are for what, for `coop`.
        images: What is learnt from, for `source`, where the set's folder does not say it by itself:
            as in a task file beside its images, relative to that folder.
        held_out: What is measured on then.
        suffix: Words after every class name, such as ` satellite location`.
        epochs: What methods with `epochs_of_set` learn it for; their own default unless it is said.
        views: Views of each training image; the suite's unless it is said.
        augmentation: How further views are drawn.
    """

    name: Name
    folder: str | None = None
    layout: Layout = "folders"
    split: str | None = None
    images: str | None = None
    held_out: str | None = None
    suffix: str = ""
    epochs: AtLeastOne | None = None
    views: AtLeastOne | None = None
    augmentation: Augmentation = "crop-mirror"


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodConfig:
    """One line of the table.

    Attributes:
        method: Its name.
        label: What it is called in the table; its name unless it is said.
        settings: Its settings.
        epochs_of_set: Whether it learns each set for the set's own number of epochs.
    """

    method: str
    label: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    epochs_of_set: bool = False

    @property
    def title(self) -> str:
        """What it is called in the table."""
        return self.label or self.method


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """What is measured.

    Attributes:
        name: Of the suite.
        sets: The image sets.
        methods: What learns them.
        root: The folder that holds the sets.
        orders: Names of sets, by the name of the order; all in the order of `sets` unless it is
            said.
        shots: Most training images per class, drawn by seed; None for all.
        tests: Most test images per class, the same for all seeds; None for all.
        views: Views of each training image, the plain one included.
        seeds: One run of every method for each.
        encoder: What embeds the images.
        published: Name of the published table to print beside the measured one.
        split: How every set is divided into tasks; None where each is a task.
        candidates: Which classes an image may be taken for.
    """

    name: str
    sets: tuple[SetConfig, ...]
    methods: tuple[MethodConfig, ...]
    root: str = "."
    orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    shots: AtLeastOne | None = None
    tests: AtLeastOne | None = None
    views: AtLeastOne = 1
    seeds: tuple[int, ...] = (0,)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    published: str | None = None
    split: Split | None = None
    candidates: Candidates = "all"

    def set_named(self, name: str) -> SetConfig:
        """Return the set called `name`."""
        return next(one for one in self.sets if one.name == name)

    def folder_of(self, one: SetConfig) -> Path:
        """Return where the images of a set are."""
        return Path(self.root) / (one.folder or one.name)


def read_suite(path: Path, *, root: Path | None = None) -> Suite:
    """Return the suite in the YAML file at `path`.

    Args:
        path: The file.
        root: The folder that holds the sets; None for what the file says.

    Raises:
        NotFoundError: there is no such file.
        SettingsError: a wrong key, value or type; an order with a set that is not there; two lines
            of one title; a method that does not exist, or settings that it does not have. It names
            the file.
    """
    read = read_settings(Suite, path)
    folder = root.resolve() if root else path.resolve().parent / Path(read.root).expanduser()
    everything = tuple(one.name for one in read.sets)
    suite = replace(read, root=str(folder), orders=read.orders or {"I": everything})
    with _naming(str(path)):
        _check(suite, everything)
    return suite


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Let errors of settings begin with where these stand."""
    try:
        yield
    except SettingsError as error:
        raise SettingsError(f"{place}: {error.message}", **error.fields) from error


def _check(suite: Suite, everything: Sequence[str]) -> None:
    _check_twice(everything, "sets")
    _check_twice([one.title for one in suite.methods], "methods")
    for one in suite.sets:
        _check_sources(one)
    if not suite.sets or not suite.methods or not suite.seeds:
        raise SettingsError("expected sets, methods and seeds, found some empty")
    for order, names in suite.orders.items():
        _check_order(order, names, everything)
    for line in suite.methods:
        with _naming(f"methods, {line.title!r}"):
            method = measured_method(line.method)
            for one in suite.sets:
                method.check_settings(settings_for(line, one))


def settings_for(line: MethodConfig, one: SetConfig) -> Mapping[str, Any]:
    """Return the settings with which a method learns a set."""
    if line.epochs_of_set and one.epochs is not None:
        return {**line.settings, "epochs": one.epochs}
    return line.settings


def _check_sources(one: SetConfig) -> None:
    both = one.images is not None and one.held_out is not None
    neither = one.images is None and one.held_out is None
    if not (neither or (both and one.layout == "source")):
        raise SettingsError(
            f"sets, {one.name!r}: expected both `images` and `held_out` or none, and with no other "
            "layout than `source`"
        )


def _check_order(order: str, names: Sequence[str], known: Sequence[str]) -> None:
    _check_twice(names, f"orders.{order}")
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise SettingsError(
            f"orders.{order}: expected names of sets, found {unknown or 'none'}; the suite has "
            f"{', '.join(known)}"
        )


def _check_twice(names: Sequence[str], where: str) -> None:
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise SettingsError(f"{where}: expected each once, found twice: {', '.join(twice)}")
