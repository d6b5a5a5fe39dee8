"""The client: every verb, for every face; command line, Python and HTTP do the same things.

Predicting asks the HTTP API. Everything else works on the object store alone, so it needs no
running cluster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cluster.client.access import AccessVerbs
from cluster.client.aliases import AliasVerbs
from cluster.client.maintenance import MaintenanceVerbs
from cluster.client.methods import MethodVerbs
from cluster.client.predictions import PredictionVerbs
from cluster.client.relearning import RelearningVerbs
from cluster.client.submissions import SubmissionVerbs
from cluster.client.versions import VersionVerbs
from cluster.client.webhooks import WebhookVerbs
from workers.progress_callbacks import StepCallback, unreported

if TYPE_CHECKING:
    from harness.evaluation import Evaluation


class Client(
    SubmissionVerbs,
    VersionVerbs,
    AliasVerbs,
    RelearningVerbs,
    MaintenanceVerbs,
    MethodVerbs,
    AccessVerbs,
    PredictionVerbs,
    WebhookVerbs,
):
    """Talks to one nacre: its object store, and its HTTP API.

        >>> client = Client()
        >>> client.rollback(2, by="anna", why="sketches were mislabelled")
        2
        >>> move = next(client.history())
        >>> move.action.value, move.author.who, move.author.why
        ('rollback', 'anna', 'sketches were mislabelled')
        >>> client.rollback(3)
        3
        >>> client.aliases()["production"]
        3

    `adapter` of a call is the configured one where it is None. What changes something is kept with
    who asked for it, `by` of the call, else `by` of the client, else the user of this process; and
    with the reason, `why`. Safe between threads. May be used as a block, at whose end connections
    are given back.

    Args:
        config: Where both are; looked for as `load_config` says where None.
        by: In whose name changes are made that name nobody; the user of this process where None.
        store: The object store of `config`, where it is open already.
        audience: Is told when `production` moves; the API's replicas where None.
        road: How what is asked of it has come in, as the audit log says.

    Attributes:
        config: The configuration.
    """

    def evaluate(
        self,
        *,
        adapter: str | None = None,
        versions: str = "",
        tasks: Sequence[str] = (),
        sets: Mapping[str, str] | None = None,
        reject: float | None = None,
        threads: int = 2,
        on_step: StepCallback = unreported,
    ) -> "Evaluation":
        """Measure versions on test images, and return how they answer.

        Args:
            adapter: Whose versions; the configured one where None.
            versions: `1..5`, numbers and aliases with commas between, or nothing for all.
            tasks: Names of tasks or ids of submissions that are measured besides those of `head`,
                or of the newest of the versions where `head` is none of them; learnt or not.
            sets: Further images by the name of their set: a folder per class, a list or tars.
            reject: Also measure which images are of none of the learnt classes, at this rate of
                false alarms, above 0 and up to 0.2; None for not.
            threads: Versions measured at once.
            on_step: Called with what is being done, units of it done and units in all.

        Raises:
            InputError: a range that cannot be read, or a version of which a task was purged.
            NotFoundError: no such version, task or set, or no test images.
            UnavailableError: test images have not been embedded by the configured encoder.
            ImageError: a file of a set is no image.
        """
        # Loaded when it is needed: measuring needs torch, and nothing else of a client does.
        from cluster.evaluation.evaluating import Extent, evaluate

        name = adapter or self.config.adapter
        return evaluate(
            replace(self.config, adapter=name),
            self._store,
            self.versions(name),
            extent=Extent(
                versions=versions,
                besides=[self.find(task).ticket.submission_id for task in tasks],
                sets=sets or {},
            ),
            reject=reject,
            threads=threads,
            report=on_step,
        )
