"""Calls that ask the replicas: predict, embed, ready."""

from collections.abc import Sequence
from dataclasses import replace

from cluster.client.remote.call import Call
from cluster.client.remote.part import CallPart
from cluster.client.remote.questions import Images, embedding, predicting, readiness
from cluster.wire.headers import TIMEOUT_S
from cluster.wire.health import Ready
from cluster.wire.predictions import EmbedAnswer, PredictAnswer


class PredictionCalls(CallPart):
    """Asks the replicas."""

    def predict(
        self,
        images: Images,
        *,
        adapter: str | None = None,
        version: int | str | None = None,
        top_k: int = 5,
        tasks: Sequence[str] = (),
        candidate_labels: Sequence[str] = (),
        reject: float | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Call[PredictAnswer]:
        """Classify images; see `Client.predict`."""
        call = predicting(
            images,
            adapter=adapter or self._default,
            version=version,
            top_k=top_k,
            tasks=tasks,
            candidate_labels=candidate_labels,
            reject=reject,
        )
        return replace(call, timeout_s=timeout_s)

    def embed(self, images: Images, *, timeout_s: float = TIMEOUT_S) -> Call[EmbedAnswer]:
        """Return the encoder's unit features of images; see `Client.embed`."""
        return replace(embedding(images), timeout_s=timeout_s)

    def ready(self) -> Call[Ready]:
        """Return what the API answers with now; UnavailableError where it does not answer."""
        return readiness()

    def answering(self, adapter: str | None = None) -> Call[str | None]:
        """Return the version that answers for an adapter now, as `adapter@number`."""
        asked = readiness()

        def version(found: Ready) -> str | None:
            state = found.adapters.get(adapter or self._default)
            return state.version if state else None

        return Call(
            kind=Ready, verb=asked.verb, path=asked.path, patient=asked.patient, becomes=version
        )
