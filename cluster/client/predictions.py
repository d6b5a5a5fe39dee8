"""The client's verbs that ask the HTTP API: predict, embed, ready."""

from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from cluster.client.part import ClientPart
from cluster.wire.headers import TIMEOUT_S

if TYPE_CHECKING:
    from cluster.client.http_api import HttpApi
    from cluster.client.remote.questions import Images
    from cluster.wire.health import Ready
    from cluster.wire.predictions import EmbedAnswer, PredictAnswer


class PredictionVerbs(ClientPart):
    """Asks the replicas. May be used as a block, at whose end connections are given back."""

    # Owns: the connections to the API, opened when they are first needed.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give connections to the API back; the next call opens new ones."""
        opened = self.__dict__.pop("_api", None)
        if opened is not None:
            opened.close()

    def predict(
        self,
        images: "Images",
        *,
        adapter: str | None = None,
        version: int | str | None = None,
        top_k: int = 5,
        tasks: Sequence[str] = (),
        candidate_labels: Sequence[str] = (),
        reject: float | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> "PredictAnswer":
        """Classify images, asking again where the service is too busy or not reached.

        Args:
            images: Paths of image files, or what such files contain.
            adapter: Which adapter; the configured one where None.
            version: Pin a version by number or alias; `production` where None.
            top_k: Most classes per image.
            tasks: Only the classes of these tasks are candidates; all where empty.
            candidate_labels: Further candidates, known by their names alone.
            reject: Also say which images are of none of the classes, at this rate of false alarms,
                above 0 and up to 0.2. None for not: answers are the same.
            timeout_s: Seconds in all; the service gives up then, too.

        Raises:
            UnavailableError: the API does not answer, or has no version yet.
            InputError: an image is refused, or there is no such version.
        """
        from cluster.client.remote.questions import predicting

        call = predicting(
            images,
            adapter=adapter or self.config.adapter,
            version=version,
            top_k=top_k,
            tasks=tasks,
            candidate_labels=candidate_labels,
            reject=reject,
        )
        return self._api.ask(call, timeout_s=timeout_s)

    def embed(self, images: "Images", *, timeout_s: float = TIMEOUT_S) -> "EmbedAnswer":
        """Return the encoder's unit features of images, in their order.

        Args:
            images: Paths of image files, or what such files contain.
            timeout_s: Seconds in all.
        """
        from cluster.client.remote.questions import embedding

        return self._api.ask(embedding(images), timeout_s=timeout_s)

    def ready(self) -> "Ready":
        """Return what the API answers with now; UnavailableError where it does not answer."""
        from cluster.client.remote.questions import readiness

        return self._api.ask(readiness())

    def answering(self, adapter: str | None = None) -> str | None:
        """Return the version that answers for an adapter now, as `adapter@number`."""
        state = self.ready().adapters.get(adapter or self.config.adapter)
        return state.version if state else None

    @cached_property
    def _api(self) -> "HttpApi":
        # Loaded when it is needed: most verbs work on the store alone, and start faster without.
        from cluster.client.http_api import HttpApi

        return HttpApi(self.config.endpoint, is_here=True)
