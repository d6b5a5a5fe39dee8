"""DMC's training of one task: image phase, measuring, prompt phase, in one count of steps.

Everything random is drawn from the seed and the step, so that a checkpoint is what the steps so far
have changed: parameters and moments of the present phase, features as far as they are measured, and
in the prompt phase the statistics and the map that came of them.

Shapes: N images · D feature width · C classes
"""

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.randomness import generator
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.dmc.class_statistics import ClassReplay
from adapters.methods.dmc.image_change import image_change
from adapters.methods.dmc.image_phase import ImagePhase
from adapters.methods.dmc.measured_images import MeasuredImages
from adapters.methods.dmc.prompt_phase import PromptPhase, Rows, prompt_steps
from adapters.methods.dmc.prompts import Contexts, Prompts
from adapters.methods.dmc.record import statistics_of, statistics_tensors, text_of
from adapters.methods.dmc.settings import WITH_MAPS, DmcSettings
from adapters.methods.dmc.shared_state import DmcState
from adapters.methods.dmc.targets import Targets
from adapters.methods.dmc.task_statistics import TaskStatistics

_IMAGE, _MEASURED, _PROMPTS = "image/", "measured/", "prompts/"
_FOUND = "found/"


class DmcTraining:
    """One task being learnt.

    Attributes:
        total_steps: Of all three parts.

    Args:
        inputs: What the task is learnt from.
        settings: Settings.
        by: The method, for errors.

    Raises:
        SettingsError: a tower, images or a tokenizer that the settings need are not there.
        CorruptionError: what the version shares does not fit its records.
    """

    # Owns: the phases, and the statistics that the measured images give.

    def __init__(self, inputs: TrainingInputs, *, settings: DmcSettings, by: str) -> None:
        self._inputs, self._settings, self._by = inputs, settings, by
        self._past = DmcState.of(inputs.past) if inputs.past.records else None
        change = image_change(inputs, settings, by=by)
        self._change = change
        self._targets = Targets(inputs, device=change.device)
        self._image = ImagePhase(
            change,
            self._start(),
            targets=self._targets,
            settings=settings,
            seed=inputs.seed,
            follows=self._past is not None,
        )
        mapped = self._past is not None and settings.calibrate in WITH_MAPS
        self._measured = MeasuredImages(self._image, self._targets, paired=mapped)
        self._statistics = TaskStatistics(
            self._measured, inputs, settings, before=self._past.chain if self._past else ()
        )
        prompted = settings.prompts != "none"
        self._prompted = self._text_side() if prompted else None
        self._ends = (
            self._image.total_steps,
            self._image.total_steps + self._measured.total_steps,
        )
        last = prompt_steps(len(self._targets.labels), settings) if prompted else 0
        self.total_steps = self._ends[1] + last

    def advance(self, step: int) -> float:
        """Take step `step`, counted from 0, and return its loss."""
        trained, measured = self._ends
        if step < trained:
            return self._image.advance(step)
        if step < measured:
            return self._measured.advance(step - trained)
        return self._prompt_phase.advance(step - measured)

    def state(self) -> Mapping[str, Tensor]:
        """Return everything that the steps so far have changed."""
        image, measured = self._image.state(), self._measured.state()
        if measured:  # the image phase is over: nobody asks for its moments
            image = {name: each for name, each in image.items() if name.startswith("parameter/")}
        if "_prompt_phase" not in self.__dict__:
            return _under(_IMAGE, image) | _under(_MEASURED, measured)
        return {
            **_under(_IMAGE, image),
            # What the map was made of is not needed once the map is there.
            **_under(_MEASURED, {"after": measured["after"]}),
            **_under(_FOUND, self._statistics.state()),
            **_under(_PROMPTS, self._prompt_phase.state()),
        }

    def restore(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        """Take over what `state` returned after `steps_done` steps."""
        trained, measured = self._ends
        self._image.restore(
            _below(_IMAGE, tensors), steps_done=steps_done if steps_done <= trained else 0
        )
        self._measured.restore(_below(_MEASURED, tensors))
        if steps_done > measured:
            self._statistics.restore(_below(_FOUND, tensors))
            self._prompt_phase.restore(_below(_PROMPTS, tensors), steps_done=steps_done - measured)

    def tensors(self) -> Mapping[str, Tensor]:
        """Return what the record holds; see `adapters.methods.dmc.record`."""
        statistics, chain = self._statistics.of_classes, self._statistics.chain
        tensors = {
            "text_features": self._inputs.text.kept(),
            **statistics_tensors(statistics, maps_before=len(chain)),
        }
        if self._settings.prompts == "augmented":
            prompts, contexts = self._text()
            own = contexts.trained["own_context"]
            tensors["own_context"] = own.detach().cpu().clone()
            tensors["prompt_features"] = prompts.final(contexts.whole)
        return tensors

    def shared(self) -> Mapping[str, Tensor]:
        """Return what the version shares; see `adapters.methods.dmc.shared_state`."""
        state = DmcState(
            change={name: each.detach().clone() for name, each in self._image.parameters.items()},
            chain=self._statistics.chain,
            context=self._prompted[1].shared.detach().clone() if self._prompted else None,
            text=self._shared_text() if self._settings.prompts == "shared" else {},
        )
        return state.tensors(self._settings.calibrate)

    def _start(self) -> dict[str, Tensor]:
        """Return the image change at the beginning: the last version's, or none yet."""
        drawn = generator(self._inputs.seed, "image change")
        fresh = self._change.fresh(drawn)
        if self._past is None:
            return fresh
        return dict(zip(fresh, self._past.required(*fresh), strict=True))

    def _text_side(self) -> tuple[Prompts, Contexts]:
        """Return the prompts whose features move, and the vectors in them."""
        settings, device = self._settings, self._change.device
        shared, task = settings.prompts == "shared", self._inputs.task
        classes = self._targets.classes if shared else task.classes
        text = self._inputs.text
        prompts = Prompts(text, classes, context=settings.context, device=device, by=self._by)
        assert text.tower is not None  # or there were no prompts
        contexts = Contexts(
            settings,
            width=text.tower.width,
            kept=self._past.context if self._past else None,
            seed=self._inputs.seed,
            device=device,
        )
        return prompts, contexts

    def _text(self) -> tuple[Prompts, Contexts]:
        assert self._prompted is not None  # asked only where prompts are learnt
        return self._prompted

    def _shared_text(self) -> dict[str, Tensor]:
        """Return the text features of every task under the shared context, by its name."""
        prompts, contexts = self._text()
        past, task = self._inputs.past.records, self._inputs.task
        sizes = [*(len(record.classes) for record in past), len(task.classes)]
        parts = torch.split(prompts.final(contexts.whole), sizes)
        names = [*(record.task for record in past), task.task]
        return dict(zip(names, parts, strict=True))

    @cached_property
    def _prompt_phase(self) -> PromptPhase:
        prompts, contexts = self._text()
        fixed = None
        if self._settings.prompts == "augmented":
            past = [text_of(each, "prompt_features") for each in self._inputs.past.records]
            own = torch.zeros(0, self._inputs.task.width)
            fixed = normalize(torch.cat([own, *past]), dim=-1).to(self._change.device)
        return PromptPhase(
            prompts,
            fixed=fixed,
            contexts=contexts,
            rows=self._rows(),
            targets=self._targets,
            settings=self._settings,
            seed=self._inputs.seed,
        )

    def _rows(self) -> Rows:
        chain = self._statistics.chain
        old = [statistics_of(record, chain) for record in self._inputs.past.records]
        replay = ClassReplay(old) if old else None
        features = self._measured.after.to(self._change.device)
        if self._settings.calibrate != "exact":
            return Rows(features=features, replay=replay)
        parameters = {name: each.detach() for name, each in self._image.parameters.items()}
        return Rows(
            features=features,
            replay=replay,
            through=lambda points: self._change.features(points, parameters),
        )


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": each for name, each in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)
    }
