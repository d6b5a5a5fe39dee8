"""A small method that trains the image tower: every task moves one vector of it.

It stands for methods that do so in earnest. Each step descends the cross-entropy of a batch of
augmented pixels with the text features; what moves is the bias of the tower's last normalisation.

Shared state: `shift` (W,). Tensors of a record: `text_features` (C, D), `means` (C, D), the class
means under the tower as it was when the task was learnt.

Shapes: W width of the tower · C classes · D feature width
"""

import copy
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.checkpoints import inputs_digest
from adapters.contract.method import Learner, Learnt, Scorer
from adapters.contract.records import pack, unpack
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import InputError
from adapters.parts.scorers import CosineScorer
from adapters.parts.training_free import RecordPerTask
from adapters.towers.image_tower import FrozenImageTower, ImageTower

STEPS = 3
BATCH = 4
RATE = 0.5


class ShiftedTower:
    """The encoder's tower with another bias in its last normalisation."""

    def __init__(self, base: FrozenImageTower, shift: Tensor, *, fingerprint: str) -> None:
        self._base = base
        self._visual = copy.deepcopy(base.visual)
        self._visual.ln_post.bias.data += shift
        self.fingerprint = fingerprint

    @property
    def own_bytes(self) -> int:
        """Bytes of its copy of the tower."""
        return sum(each.nbytes for each in self._visual.parameters())

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """See `ImageTower`; (N, D)."""
        return normalize(self._visual(self._base.prepared(pixels)).float(), dim=-1).cpu()


class ShiftingLearner:
    """A task being learnt: the shift, a few steps further."""

    total_steps = STEPS

    def __init__(self, inputs: TrainingInputs) -> None:
        self._inputs = inputs
        self._base, self._pixels = inputs.images.required(by=ShiftingTower.name)
        self.shift = _shift_of(inputs.past, self._base).clone()
        self.steps_done = 0

    def step(self) -> float:
        """Take the next step and return its loss."""
        task, text = self._inputs.task, self._inputs.text
        places = [(self.steps_done * BATCH + i) % len(task.labels) for i in range(BATCH)]
        pixels = self._base.prepared(self._pixels(places, view=1 + self.steps_done))
        shift = self.shift.clone().requires_grad_()
        visual = copy.deepcopy(self._base.visual)
        bias = visual.ln_post.bias + shift
        del visual.ln_post.bias
        visual.ln_post.bias = bias
        features = normalize(visual(pixels).float(), dim=-1)
        anchors = normalize(text.features, dim=-1)
        loss = cross_entropy(text.logit_scale * features @ anchors.t(), task.labels[places])
        loss.backward()  # type: ignore[no-untyped-call]
        assert shift.grad is not None
        self.shift = self.shift - RATE * normalize(shift.grad, dim=0)
        self.steps_done += 1
        return float(loss.detach())

    def checkpoint(self) -> bytes:
        """Return the shift, and what it was learnt from."""
        described = {"inputs": inputs_digest(self._inputs), "steps_done": self.steps_done}
        return pack({"shift": self.shift}, described)

    def learnt(self) -> Learnt:
        """Return class means under the tower as it is now, and the shift."""
        task = self._inputs.task
        tower = ShiftedTower(self._base, self.shift, fingerprint="")
        features = tower.features(self._pixels(range(len(task.labels))))
        means = torch.stack([features[task.labels == c].mean(0) for c in range(len(task.classes))])
        tensors = {"text_features": self._inputs.text.kept(), "means": means}
        return Learnt(tensors=tensors, shared={"shift": self.shift})


class ShiftingTower(RecordPerTask):
    """Moves the image tower with every task."""

    name: ClassVar[str] = "shifting_tower"

    def start(self, inputs: TrainingInputs) -> Learner:
        inputs = replace(inputs, settings=self.check_settings(inputs.settings))
        self.check(inputs)
        return ShiftingLearner(inputs)

    def resume(self, checkpoint: bytes, inputs: TrainingInputs) -> Learner:
        tensors, described = unpack(checkpoint)
        if described.get("inputs") != inputs_digest(inputs):
            raise InputError("a checkpoint of another training")
        learner = ShiftingLearner(inputs)
        learner.shift, learner.steps_done = tensors["shift"], int(described["steps_done"])
        return learner

    def scorer(self, state: AdapterState) -> Scorer:
        return CosineScorer(state.records)

    def fingerprint(self, state: AdapterState) -> str:
        shared = _shared(state)
        return hashlib.sha256(f"{state.records[0].encoder}/{shared.digest}".encode()).hexdigest()

    def image_tower(self, base: FrozenImageTower, state: AdapterState) -> ImageTower:
        shift = _shared(state).tensors["shift"]
        return ShiftedTower(base, shift, fingerprint=self.fingerprint(state))


def _shift_of(past: AdapterState, base: FrozenImageTower) -> Tensor:
    if past.shared is not None:
        return past.shared.tensors["shift"]
    return torch.zeros(base.visual.ln_post.normalized_shape[0])


def _shared(state: AdapterState) -> SharedState:
    assert state.shared is not None, "every version of this method has a shared state"
    return state.shared


def install(folder: Path) -> None:
    """Write what an installed package leaves in `folder`: an entry point for this method."""
    where = folder / "shifting_tower-1.0.dist-info"
    where.mkdir()
    (where / "METADATA").write_text("Metadata-Version: 2.1\nName: shifting_tower\nVersion: 1.0\n")
    (where / "entry_points.txt").write_text(
        f"[nacre.methods]\n{ShiftingTower.name} = {__name__}:{ShiftingTower.__name__}\n"
    )
