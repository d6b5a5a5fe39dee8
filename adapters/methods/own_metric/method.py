"""Own-metric classifiers: a discriminant per task in the task's own covariance, nacre's own method.

    d_t(x, m)^2 = |F_t^-1 (x - m)|^2
    p_t(c | x)  = softmax over the classes of task t of
                  (a_c . y_t(x) + w_t z_c(x) - sharpness / 2 d_t(x, m_c)^2)
    score_c(x)  = log p_t(c | x) - sharpness / 2 min over c' of t of d_t(x, m_c')^2

The first term tells the classes of one task apart, by a classifier that was tuned for that task
alone (`adapters.methods.own_metric.classifier`) and by the distances to the class means. Both are
in the metric that the task had when it was learnt, that of the records up to it, so that nothing
moves when tasks follow. z are the text logits, and w_t is chosen on validation images, a
quarter of the task's training images.

The second term tells tasks apart: the distance to the nearest class mean in the task's metric as it
is now, grown with the records of the version (`adapters.methods.own_metric.whitening`). The
determinants of a Gaussian density are left out: they favour tasks whose images are alike.

Both follow from the records in their order and from nothing else. Vectors are stored unwhitened.

That is the dense form. In low-rank form (`adapters.methods.own_metric.low_rank`) tasks after the
first sixteen keep one metric for both: the common one beside a few directions of their own. In
short-list form (`adapters.methods.own_metric.short_list_scorer`) the tasks that are likeliest then
are told apart as in dense form.

Where the classes of a task have different numbers of images the rule `counted` applies, unless
the settings say `plain`: the record names it, and its `anchors` have one more column, what is added
to the logits (`adapters.methods.own_metric.classifier`).

Tensors of a record: `text_features` (C, D), `means` (C, D), `anchors` (C, D), `scatter`
(D (D + 1) / 2,), the upper triangle of the within-class scatter, `image_counts` (C,) int64, `costs`
(G,), what each w costs. In low-rank form also `rows`, `tail` and `common`
(`adapters.methods.own_metric.task_rows`); `rows` of the first tasks are none. In short-list form
`listed` (1,) int64 besides: how many tasks are on the list.

Shapes: N images · D feature width · C classes of a record · G values of w
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Learnt, Scorer
from adapters.contract.mixture import Mixture
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings
from adapters.contract.task_features import Spread, TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import SettingsError
from adapters.methods.own_metric.common_metric import FIRST_TASKS, CommonMetric
from adapters.methods.own_metric.dense import DenseScorer
from adapters.methods.own_metric.low_rank import LowRanks
from adapters.methods.own_metric.low_rank_scorer import LowRankScorer
from adapters.methods.own_metric.settings import SHARED, Form, OwnMetricSettings
from adapters.methods.own_metric.short_list_scorer import ShortListScorer
from adapters.methods.own_metric.training import OwnMetricTraining
from adapters.methods.own_metric.whitening import Metrics, Whitenings
from adapters.parts.spreads import scattered
from adapters.parts.statistics import total
from adapters.parts.trained import Trained, Training


class OwnMetric(Trained):
    """A classifier per task in the task's own metric, and the nearest metric between tasks."""

    name: ClassVar[str] = "own_metric"
    rejects: ClassVar[bool] = True
    settings_type: ClassVar[type[MethodSettings]] = OwnMetricSettings
    shared: ClassVar[tuple[str, ...]] = SHARED
    # Metrics that grow with the version make old tasks less sure of themselves, as they should be.

    def check_follows(self, settings: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        super().check_follows(settings, known)
        given = settings.get("form")
        if given is not None:
            _check_form(given, expected=_form_in(known))

    def training(self, inputs: TrainingInputs) -> Training:
        past = inputs.past.records
        chosen = OwnMetricSettings.from_mapping(inputs.settings)
        chosen = replace(chosen, form=_form(chosen, past))
        metrics: Metrics
        if chosen.form != "dense" and len(past) >= FIRST_TASKS:
            metrics = LowRanks(CommonMetric.of(past, shrinkage=chosen.shrinkage))
        else:
            before = total(past, "scatter") if past else None
            metrics = Whitenings(before, chosen.shrinkage)
        return OwnMetricTraining(inputs, metrics=metrics, settings=chosen)

    def record(
        self,
        task: TaskFeatures,
        learnt: Learnt,
        mixtures: Sequence[Mixture],
        *,
        settings: Mapping[str, Any],
        seed: int,
    ) -> Record:
        if "rows" in learnt.tensors:
            listed: Form = "short_list" if "listed" in learnt.tensors else "low_rank"
            settings = {**settings, "form": listed}
        # The record says whether the rule applies, which whoever asked for it need not know.
        if settings.get("rule") != "plain":
            settings = {name: value for name, value in settings.items() if name != "rule"}
            if learnt.tensors["anchors"].shape[1] > task.features.shape[-1]:
                settings["rule"] = "counted"
        return super().record(task, learnt, mixtures, settings=settings, seed=seed)

    def spread(self, record: Record) -> Spread:
        return scattered(record)

    def scorer(self, state: AdapterState) -> Scorer:
        forms = {form_of(record) for record in state.records}
        if forms == {"low_rank"}:
            return LowRankScorer.of(state.records)
        if forms == {"short_list"}:
            return ShortListScorer.of(state.records)
        for record in state.records:
            _check_form(form_of(record), expected=form_of(state.records[0]))
        return DenseScorer(state.records)

    def check(self, inputs: TrainingInputs) -> None:
        super().check(inputs)
        given, past = inputs.settings.get("form"), inputs.past.records
        if given is not None and past:
            _check_form(given, expected=form_of(past[0]))


def form_of(record: Record) -> Form:
    """Return the form of a record; those that name none are of the first."""
    return _form_in(record.settings)


def _form_in(settings: Mapping[str, Any]) -> Form:
    form: Form = settings.get("form") or "dense"
    return form


def _form(chosen: OwnMetricSettings, past: Sequence[Record]) -> Form:
    return chosen.form or (form_of(past[0]) if past else "dense")


def _check_form(form: Form, *, expected: Form) -> None:
    """Raise SettingsError unless `form` is the `expected` one, that of the adapter's first task."""
    if form != expected:
        raise SettingsError(
            f"setting 'form': expected {expected!r}, as in the adapter's first task, found "
            f"{form!r}; an adapter keeps the form that it began with: leave `form` out",
            setting="form",
        )
