"""Training loop: one task learnt from beginning to end in one call."""

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.method import Method
from adapters.contract.mixture import Mixture, fit_mixture
from adapters.contract.randomness import derived_seed
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs


def learn(method: Method, inputs: TrainingInputs) -> AdapterState:
    """Return what the version holds once `inputs.task` is learnt; errors as in `Method.start`."""
    learner = method.start(inputs)
    while learner.steps_done < learner.total_steps:
        learner.step()
    learnt, task, seed = learner.learnt(), inputs.task, inputs.seed
    components = method.mixture_components(inputs.settings)
    mixtures = class_mixtures(task, components=components, seed=seed)
    record = method.record(task, learnt, mixtures, settings=inputs.settings, seed=seed)
    shared = inputs.past.shared
    if learnt.shared is not None:
        shared = SharedState(method=method.name, encoder=task.encoder, tensors=learnt.shared)
    return AdapterState(records=(*inputs.past.records, record), shared=shared)


def class_mixtures(
    task: TaskFeatures, *, components: int, seed: int, classes: range | None = None
) -> list[Mixture]:
    """Return one mixture per class of `task`, or for `classes` alone.

    None where `components` is 0. Classes do not depend on each other, so that several machines may
    fit some each.
    """
    if components == 0:
        return []
    return [
        fit_mixture(
            task.of_class(index), components, mixture_seed(seed, task.classes[index].class_id)
        )
        for index in (range(len(task.classes)) if classes is None else classes)
    ]


def mixture_seed(seed: int, class_id: str) -> int:
    """Return the seed of one class's mixture: it depends on the class, not on its place."""
    return derived_seed(seed, "mixture", class_id)
