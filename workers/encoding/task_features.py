"""Training data of a submission, assembled from its feature blocks."""

from adapters.contract.class_entry import ClassEntry
from adapters.contract.task_features import TaskFeatures
from adapters.methods import method_named
from workers.encoding.features import read_split
from workers.images.views import Views
from workers.store.base import ObjectStore
from workers.tasks.submission import Shard, Submission


def class_id(task: str, key: str) -> str:
    """Return the id of a task's class; keys may hold slashes, names of tasks may not."""
    return f"{task}/{key}"


def task_of(entry: ClassEntry) -> str:
    """Return the name of the task that brought a class."""
    return entry.class_id.partition("/")[0]


def class_entries(submission: Submission) -> tuple[ClassEntry, ...]:
    """Return the classes of `submission`; an id is the task's name and the class's key."""
    return tuple(
        ClassEntry(
            class_id=class_id(submission.task, entry.key),
            name=entry.name,
            prompt=prompt,
            merged_into=submission.merges.get(entry.key),
        )
        for entry, prompt in zip(submission.classes, submission.prompts(), strict=True)
    )


def training_views(submission: Submission, *, method: str) -> Views:
    """Return the views of the training images of `submission` that `method` learns from.

    Raises:
        SettingsError: there is no such method, or these are no settings of it.
    """
    count = method_named(method).views(submission.all_settings)
    return Views(count=count, augmentation=submission.augmentation)


def shards_and_views(submission: Submission, *, method: str) -> list[tuple[Shard, Views]]:
    """Return every shard of `submission` with the views that are wanted of its images.

    Raises:
        SettingsError: as in `training_views`.
    """
    of_training = training_views(submission, method=method)
    return [
        (shard, of_training if shard.split == "train" else Views()) for shard in submission.shards
    ]


def training_features(
    store: ObjectStore, submission: Submission, *, method: str, fingerprint: str
) -> TaskFeatures:
    """Return what `method` learns `submission` from, out of its stored blocks.

    Raises:
        SettingsError: as in `training_views`.
        NotFoundError: a shard has not been embedded yet, or its features are gone.
        CorruptionError: a block is damaged.
        FeatureError: a feature is zero or not finite.
    """
    features, labels = read_split(
        store,
        submission,
        "train",
        fingerprint=fingerprint,
        views=training_views(submission, method=method).name,
        patience=store.patience.longer,
    )
    return TaskFeatures(
        task=submission.task,
        classes=class_entries(submission),
        features=features,
        labels=labels,
        encoder=fingerprint,
    )
