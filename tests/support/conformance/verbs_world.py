"""One nacre with what is known of it, and how a version's answers are told from another's."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from adapters.adapter import Adapter
from adapters.errors import NotFoundError
from cluster.config import AdapterConfig
from tests.support.conformance.verbs_model import HEAD, PRODUCTION, Line, Published
from tests.support.drivers.sites import Site
from tests.support.fakes.remembering_encoder import RememberingEncoder
from tests.support.scenes.color_tasks import ODD
from workers.encoding.blocks import block_key, has_block
from workers.encoding.encoder_settings import EncoderSettings
from workers.learning.gate import Gate
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.ticket import ENDED, LEARNING, Stage, Ticket
from workers.registry import Registry, TaskRef, Version
from workers.registry.documents.layout import adapter_prefix
from workers.registry.record_cache import Versions
from workers.tasks.submission import (
    SHARDS,
    Submission,
    content_of,
    is_swept,
    read_submission,
)

METHODS = {
    "main": AdapterConfig(method="nearest_mean", gate=Gate(mode="auto")),
    "birds": AdapterConfig(method="zero_shot", gate=Gate(mode="gate", min_accuracy=0.5)),
    # Its tasks share a state: every version has one that has learnt from all of them.
    "moving": AdapterConfig(method="dmc_ot", gate=Gate(mode="auto")),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "moving": {"adapter": "feature", "prompts": "none", "calibrate": "shift", "image_epochs": 1},
}
ADAPTERS = tuple(METHODS)
TASKS = ("red", "blue", ODD)
BOTH = (HEAD, PRODUCTION)


@cache
def encoder() -> RememberingEncoder:
    """Return the encoder, loaded once."""
    torch.set_num_threads(1)
    return RememberingEncoder(EncoderSettings())


@cache
def images() -> torch.Tensor:
    """Return the features of images that nobody has learnt from: (8, D)."""
    drawn = torch.randn(8, encoder().width, generator=torch.Generator().manual_seed(7))
    return torch.nn.functional.normalize(drawn, dim=-1)


@cache
def pictures() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of all tasks, which goes with this process."""
    return tempfile.TemporaryDirectory()


def answers(adapter: Adapter) -> bytes:
    """Return what `adapter` answers about `images`, to the bit."""
    scores = adapter.score(images(), encoder=adapter.encoder, logit_scale=100.0)
    named = ",".join(entry.class_id for entry in scores.classes)
    return named.encode() + scores.values.numpy().tobytes()


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """A file that was exported, and the version that is in it."""

    path: Path
    version: Published


class World(Site):
    """A site, and what is known of it.

    Attributes:
        lines: By adapter.
        submissions: By id, those that this store has.
        generations: Ids of the submissions of one content, by what was submitted.
        purged: Ids of the submissions that were purged.
        wished: By id, where a submission is once a coordinator has read what was asked of it; None
            where it has not ended.
        paused: What nothing is begun of.
        failed: Ids of submissions of which it is known that they have failed.
    """

    # Owns: everything that is known.

    def __init__(self) -> None:
        super().__init__(encoder(), METHODS)
        self.lines = {name: Line() for name in ADAPTERS}
        self.submissions: dict[str, Submission] = {}
        self.generations: dict[tuple[object, ...], list[str]] = {}
        self.purged: set[str] = set()
        self.wished: dict[str, Stage | None] = {}
        self.paused: set[str] = set()
        self.failed: set[str] = set()

    def ticket(self, submission: str) -> Ticket:
        """Return the ticket of a submission."""
        return self.client.state(submission).ticket

    def is_open(self, submission: str) -> bool:
        """Say whether a submission has not ended."""
        return self.ticket(submission).stage not in ENDED

    def is_learning(self, adapter: str) -> bool:
        """Say whether a task of an adapter is being learnt, or was when the coordinator stopped."""
        return any(
            entry.adapter == adapter and self.ticket(name).stage in LEARNING
            for name, entry in self.submissions.items()
        )

    def has_images(self, submission: str) -> bool:
        """Say whether nobody has removed the images of a submission."""
        return submission not in self.purged and not is_swept(self.store, submission)

    def exists(self, adapter: str) -> bool:
        """Say whether there is such an adapter, be it an empty one."""
        return adapter in Registry(self.store).adapters()

    def is_embedded(self, submission: str) -> bool:
        """Say whether the features of a submission's test images are here."""
        shards, fingerprint = (
            self.submissions[submission].of_split("held_out"),
            encoder().fingerprint,
        )
        return all(has_block(self.store, block_key(fingerprint, "1", shard)) for shard in shards)

    def forgotten(self, adapter: str, task: str) -> set[str]:
        """Return the submissions to an adapter whose images go when `task` is purged."""
        return {
            name
            for name, entry in self.submissions.items()
            if entry.adapter == adapter and entry.task == task
        }

    def is_relearnable(self, adapter: str, task: TaskRef) -> bool:
        """Say whether everything is here that a task was learnt from."""
        entry = self.submissions.get(task.submission)
        return entry is not None and entry.adapter == adapter and self.has_images(task.submission)

    def resubmitted(self, names: Sequence[str]) -> None:
        """Take note of submissions that a verb has made of earlier ones."""
        for name in names:
            entry = read_submission(self.store, name)
            first = content_of(entry.task, name)
            self.submissions.setdefault(name, entry)
            for known in self.generations.values():
                if known and content_of(entry.task, known[0]) == first and name not in known:
                    known.append(name)

    def published(self, version: Version) -> Published:
        """Return what is to be remembered of a new version."""
        manifest = version.manifest
        state = Versions(self.store).state(manifest.adapter, manifest.number)
        found = answers(Adapter(state.records, shared=state.shared)) if state.records else None
        return Published(manifest=manifest, answers=found)

    def observe(self) -> None:
        """Find what a coordinator has done, and hold it against what was asked for."""
        for adapter, line in self.lines.items():
            listed = self.client.versions(adapter)
            fresh = [v for v in reversed(listed) if v.manifest.number not in line.versions]
            assert not (fresh and self.paused & {adapter, EVERY_ADAPTER}), "begun while paused"
            for version in fresh:
                self._learnt(line, version)
        if self.client.queue().unread == 0:
            for name, wished in self.wished.items():
                assert wished is None or self.ticket(name).stage is wished
            self.wished.clear()
        for name, submission in self.submissions.items():
            if name not in self.failed and self.ticket(name).stage is Stage.FAILED:
                self._failed(submission)
            self._check_version(submission)
        self.failed = {name for name in self.submissions if self.ticket(name).stage is Stage.FAILED}

    def _learnt(self, line: Line, version: Version) -> None:
        manifest = version.manifest
        learnt = manifest.tasks[-1]
        submission, ticket = self.submissions[learnt.submission], self.ticket(learnt.submission)
        kept = [task for task in line.head_tasks if task != submission.replaces]
        assert [task.task for task in manifest.tasks] == [*kept, submission.task]
        assert manifest.number == line.next_number == ticket.version
        assert manifest.method == METHODS[manifest.adapter].method
        built_upon = ticket.stage is Stage.PUBLISHED
        assert built_upon or ticket.stage is Stage.REJECTED
        served = built_upon and not self._is_waited_with(line, version, ticket)
        own = next(each.accuracy for each in version.accuracies if each.task == submission.task)
        gate = METHODS[manifest.adapter].gate
        assert not built_upon or gate.mode == "auto" or own >= gate.min_accuracy
        assert served or ticket.note
        aliases = BOTH if served else (HEAD,) if built_upon else ()
        line.publish(self.published(version), aliases)
        line.learnt.add(manifest.number)

    def _is_waited_with(self, line: Line, version: Version, ticket: Ticket) -> bool:
        """Say whether production stayed; fail unless it had to, for what is learnt again."""
        manifest, served = version.manifest, line.versions.get(line.aliases.get(PRODUCTION, 0))
        held = {task.task for task in manifest.tasks}
        lacking = [t for t in (served.manifest.tasks if served else ()) if t.task not in held]
        coming = [
            name
            for task in lacking
            for name in self.submissions
            if content_of(task.task, name) == content_of(task.task, task.submission)
            and name != task.submission
        ]
        if ticket.note and "learnt again" in ticket.note:
            assert coming, "nothing is learnt again that is served"
            return True
        later = {
            task.submission
            for each in self.client.versions(manifest.adapter)
            if each.manifest.number > manifest.number
            for task in each.manifest.tasks
        } - {task.submission for task in manifest.tasks}
        assert not [name for name in coming if self.is_open(name) or name in later]
        return False

    def _check_version(self, submission: Submission) -> None:
        """Fail unless the version that a submission is said to be holds it."""
        ticket, line = self.ticket(submission.submission_id), self.lines[submission.adapter]
        if ticket.stage in (Stage.PUBLISHED, Stage.REJECTED):
            assert ticket.version is not None
            assert line.versions[ticket.version].manifest.has_submission(ticket.submission_id)
            assert ticket.stage is Stage.PUBLISHED or ticket.version in line.learnt

    def _failed(self, submission: Submission) -> None:
        """Fail unless somebody has made it impossible since the submission was accepted."""
        tasks, name = self.lines[submission.adapter].head_tasks, submission.submission_id
        excused = (
            submission.task in tasks
            if not submission.replaces
            else submission.replaces not in tasks
        )
        assert excused or not self.has_images(name), self.ticket(name).error

    def check_nothing_purged_is_there(self) -> None:
        """Fail where a byte is left of what was purged and nothing else has."""
        listed = {listed.key for listed in self.store.list("")}
        for adapter, line in self.lines.items():
            # Of a version of which a task was purged the other tasks stay.
            found = list(line.versions.values())
            kept = {record for each in found for record in _records(each, purged=False)}
            gone = {record for each in found for record in _records(each, purged=True)} - kept
            below = [key for key in listed if key.startswith(adapter_prefix(adapter))]
            assert not [key for key in below if key.rsplit("/", 1)[1] in gone]
        others = {
            shard.digest
            for name, entry in self.submissions.items()
            if name not in self.purged
            for shard in entry.shards
        }
        purged = {s.digest for name in self.purged for s in self.submissions[name].shards}
        left = [key for key in listed if not key.startswith("adapters/")]
        gone = purged - others
        assert not [key for key in left if gone & set(key.replace(".", "/").split("/"))]

    def check_no_image_was_lost(self) -> None:
        """Fail where an image is gone that nobody has purged and that is kept still."""
        listed = {listed.key.rsplit("/", 1)[-1] for listed in self.store.list(SHARDS)}
        for name, entry in self.submissions.items():
            if self.has_images(name):
                assert {shard.digest for shard in entry.shards} <= listed

    def check_all_answers(self, adapter: str) -> None:
        """Fail where a version answers otherwise than when it was published."""
        versions, line = Versions(self.store), self.lines[adapter]
        for number in line.servable:
            found = line.versions[number]
            state = versions.state(adapter, number)
            if found.answers is not None:
                assert answers(Adapter(state.records, shared=state.shared)) == found.answers
        for number in line.versions.keys() - set(line.servable):
            try:
                Versions(self.store).state(adapter, number)
            except NotFoundError:
                continue
            raise AssertionError(f"{adapter}@{number} can be read, and was purged")

    def check_the_registry(self, adapter: str) -> None:
        """Fail where aliases, versions or the history are not as the model says."""
        line = self.lines[adapter]
        refs = Registry(self.store).adapter(adapter).refs()
        assert {alias: ref.number for alias, ref in refs.aliases.items()} == line.aliases
        assert refs.next_version == line.next_number


def _records(found: Published, *, purged: bool) -> list[str]:
    """Return the digests of records, and of the shared state, that were purged, or were not."""
    tasks = found.manifest.tasks
    state = [found.state] if found.state and bool(found.purged) is purged else []
    return state + [task.record.sha256 for task in tasks if (task.task in found.purged) is purged]
