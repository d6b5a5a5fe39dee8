"""Playground: ask one or two versions what an image shows."""

import io
import time
from base64 import b64encode
from dataclasses import dataclass
from math import log2

from PIL import Image

from adapters.contract.thresholds import MOST_RATE
from adapters.errors import ImageError, InputError
from cluster.console.shown.look import Act, Look, Page, Upload
from cluster.wire.predictions import MAX_IMAGES, ImageAnswer, Prediction
from workers.images.decode import decode_image

MOST_IMAGES = 8
MOST_BYTES = 32 * 2**20
SIDE = 224
SHOWN = 5
EVERY_CLASS = 1000
FIELDS = ("adapter", "version", "other", "tasks", "labels", "reject")
TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What one version says of one image.

    Attributes:
        best: The best classes, best first.
        entropy: Of all scores, in bits.
        unknown: Whether it is of none of the classes; None where that was not asked or measured.
    """

    best: tuple[Prediction, ...]
    entropy: float
    unknown: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One image and what was said of it.

    Attributes:
        name: Of its file.
        source: A small version of it, as an address.
        said: By each version that was asked.
    """

    name: str
    source: str
    said: tuple[Said, ...]

    @property
    def agree(self) -> bool:
        """Whether all versions say the same."""
        return len({said.best[0].label for said in self.said if said.best}) <= 1


def playground(look: Look) -> Page:
    """Show the form."""
    return _page(look, (), ())


def ask(act: Act) -> Page:
    """Ask what was filled in, and show the form with the answers."""
    look = act.look
    adapter = act.field("adapter")
    look.requester.check("predict", adapter)
    files = [(upload.name, _content(upload)) for upload in act.files.get("images", ())]
    if not files or len(files) > min(MOST_IMAGES, MAX_IMAGES):
        raise ImageError(f"expected 1 to {MOST_IMAGES} image files, found {len(files)}")
    pictures = [_small(name, content) for name, content in files]
    versions = [act.field("version") or None]
    if act.field("other"):
        versions.append(act.field("other"))
    answers, told = [], []
    for version in versions:
        begun = time.perf_counter()
        answer = look.sources.client.predict(
            [content for _, content in files],
            adapter=adapter,
            version=version,
            top_k=EVERY_CLASS,
            tasks=_list(act.field("tasks")),
            candidate_labels=_list(act.field("labels")),
            reject=_rate(act.field("reject")),
            timeout_s=TIMEOUT_S,
        )
        answers.append(answer)
        told.append((answer.version, 1000 * (time.perf_counter() - begun)))
    asked = tuple(
        Asked(
            name=name,
            source=source,
            said=tuple(_said(answer.results[place]) for answer in answers),
        )
        for place, ((name, _), source) in enumerate(zip(files, pictures, strict=True))
    )
    filled = {**look.query, **dict(act.form)}
    return _page(look, asked, tuple(told), filled)


def images_asked(act: Act) -> int:
    """Return how many images replicas are asked about, each by every version."""
    return len(act.files.get("images", ())) * (2 if act.field("other") else 1)


def _page(
    look: Look,
    asked: tuple[Asked, ...],
    told: tuple[tuple[str, float], ...],
    filled: dict[str, str] | None = None,
) -> Page:
    permitted = [each for each in look.adapters if look.may("predict", each.name)]
    return Page(
        template="playground.html.j2",
        title="Playground",
        content={
            "permitted": permitted,
            "asked": asked,
            "told": told,
            "filled": dict.fromkeys(FIELDS, "") | (filled or dict(look.query)),
            "endpoint": look.sources.client.config.endpoint,
            "most": MOST_IMAGES,
        },
    )


def _rate(written: str) -> float | None:
    """Return the rate of false alarms that was filled in; None where nothing was."""
    try:
        return float(written) if written.strip() else None
    except ValueError as error:
        raise InputError(
            f"expected a rate of false alarms above 0 and up to {MOST_RATE}, found {written!r}"
        ) from error


def _content(upload: Upload) -> bytes:
    if upload.size > MOST_BYTES:
        raise ImageError(f"expected images of at most {MOST_BYTES} bytes, found {upload.size}")
    return upload.file.read()


def _small(name: str, content: bytes) -> str:
    picture = decode_image(content, origin=name[:80])
    picture.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    written = io.BytesIO()
    picture.convert("RGB").save(written, "JPEG", quality=85)
    return "data:image/jpeg;base64," + b64encode(written.getvalue()).decode()


def _said(answer: ImageAnswer) -> Said:
    scores = [each.score for each in answer.predictions if each.score > 0]
    return Said(
        best=tuple(answer.predictions[:SHOWN]),
        entropy=-sum(score * log2(score) for score in scores),
        unknown=answer.unknown,
    )


def _list(written: str) -> list[str]:
    return [part.strip() for part in written.split(",") if part.strip()]
