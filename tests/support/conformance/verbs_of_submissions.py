"""Verbs of submissions in any order: submit, cancel, retry, pause, resume; days that pass."""

from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from adapters.errors import ClassNameError, InputError, NacreError
from tests.support.conformance.verbs_asked import NAMED, NAMES, SITES, Asked
from tests.support.conformance.verbs_world import ADAPTERS, SETTINGS, TASKS, World, pictures
from tests.support.scenes.color_tasks import color_task
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.ticket import ENDED, Stage
from workers.tasks.task import Task

CONTENTS = st.integers(0, 1)
PAUSABLE = st.sampled_from((*ADAPTERS, EVERY_ADAPTER))
A_WHILE = 8.0
"""Days, more than images are kept for once a submission has ended."""


class SubmissionRules(Asked):
    """What people do with the queue; a coordinator works when it is told to."""

    @initialize()
    def start(self) -> None:
        super().start()
        for name in TASKS[:2]:
            self._submit(self.worlds[0], "main", name, content=0, replacing=False)
        self._submit(self.worlds[0], "birds", "red", content=0, replacing=False)
        for name in TASKS:
            self._submit(self.worlds[0], "moving", name, content=0, replacing=False)
        self._submit(self.worlds[1], "main", "red", content=1, replacing=False)
        for world in self.worlds:
            world.work()
            world.observe()

    @rule(site=SITES, adapter=NAMED, name=NAMES, content=CONTENTS, replacing=st.booleans())
    def submit(self, site: int, adapter: str, name: str, content: int, replacing: bool) -> None:
        world = self.worlds[site]
        self._submit(world, adapter, name, content=content, replacing=replacing)

    @rule(site=SITES, adapter=NAMED, name=NAMES, content=CONTENTS, replacing=st.booleans())
    def submit_and_wait(
        self, site: int, adapter: str, name: str, content: int, replacing: bool
    ) -> None:
        world = self.worlds[site]
        self._submit(world, adapter, name, content=content, replacing=replacing)
        world.work()
        world.observe()

    def _submit(
        self, world: World, adapter: str, name: str, *, content: int, replacing: bool
    ) -> None:
        task = replace(
            color_task(Path(pictures().name), name, content),
            adapter=adapter,
            settings=SETTINGS.get(adapter, {}),
            replaces=name if replacing and name in world.lines[adapter].head_tasks else None,
        )
        generations = world.generations.setdefault((adapter, name, content, task.replaces), [])
        line = world.lines[adapter]
        before = [g for g in generations if world.is_open(g) or line.has_submission(g)]
        refused = None if before else _refusal(world, task)
        intake = self.asked("submit", lambda: world.client.submit(task), refused)
        if intake is None:
            return
        submission = intake.submission
        assert intake.is_new is not bool(before)
        if before:
            assert submission.submission_id == before[0]
        else:
            assert submission.submission_id not in world.submissions
            world.submissions[submission.submission_id] = submission
            generations.append(submission.submission_id)

    @precondition(lambda self: any(world.submissions for world in self.worlds))
    @rule(site=SITES)
    def work(self, site: int) -> None:
        world = self.worlds[site]
        world.work()
        world.observe()

    @precondition(lambda self: any(world.submissions for world in self.worlds))
    @rule(site=SITES, turns=st.integers(20, 400))
    def work_a_little(self, site: int, turns: int) -> None:
        world = self.worlds[site]
        world.work_a_little(turns)
        world.observe()

    @rule(site=SITES)
    def days_pass(self, site: int) -> None:
        self.worlds[site].pass_days(A_WHILE)

    @precondition(lambda self: any(world.submissions for world in self.worlds))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        world, name = self._drawn(data)
        stage = world.wished.get(name, world.ticket(name).stage)
        state = self.asked("cancel", lambda: world.client.cancel(name))
        assert state is not None
        if stage not in ENDED:
            world.wished[name] = Stage.CANCELLED

    @precondition(lambda self: any(world.submissions for world in self.worlds))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        world, name = self._drawn(data)
        stage = world.wished.get(name, world.ticket(name).stage)
        begins = stage in ENDED - {Stage.PUBLISHED}
        refused = InputError if begins and not world.has_images(name) else None
        self.asked("retry", lambda: world.client.retry(name), refused)
        if begins and refused is None:
            world.wished[name] = None

    @rule(site=SITES, adapter=PAUSABLE)
    def pause(self, site: int, adapter: str) -> None:
        world = self.worlds[site]
        if world.paused:
            adapter = min(world.paused)
        self.asked("pause", lambda: world.client.pause(adapter))
        world.paused.add(adapter)

    @rule(site=SITES, adapter=PAUSABLE)
    def resume(self, site: int, adapter: str) -> None:
        world = self.worlds[site]
        if world.paused:
            adapter = EVERY_ADAPTER
        self.asked("resume", lambda: world.client.resume(adapter))
        world.paused = set() if adapter == EVERY_ADAPTER else world.paused - {adapter}

    def _drawn(self, data: st.DataObject) -> tuple[World, str]:
        """Return a submission, and the world that has it."""
        known = [(world, name) for world in self.worlds for name in world.submissions]
        return known[data.draw(st.integers(0, len(known) - 1))]


def _refusal(world: World, task: Task) -> type[NacreError] | None:
    """Return why a task is refused that is no submission already."""
    if task.replaces:
        return None
    open_ones = (
        entry.task
        for name, entry in world.submissions.items()
        if entry.adapter == task.adapter and world.is_open(name)
    )
    taken = {*world.lines[task.adapter].head_tasks, *open_ones}
    return ClassNameError if task.name in taken else None
