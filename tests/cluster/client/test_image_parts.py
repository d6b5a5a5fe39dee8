"""More images than one request may have."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cluster.client.remote.image_parts import PART_BYTES, parts, predicted
from cluster.wire.predictions import MAX_IMAGES, ImageAnswer, PredictAnswer


class Asked:
    """Answers with one more version each time, unless one is named."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, str | None, dict[str, Any]]] = []

    def __call__(
        self, images: Sequence[Path], *, version: str | None, **options: Any
    ) -> PredictAnswer:
        self.calls.append((len(images), version, options))
        number = version or str(4 + len(self.calls))
        results = [ImageAnswer(predictions=[]) for _ in images]
        return PredictAnswer(version=f"main@{number}", digest="a" * 64, results=results)


@pytest.mark.parametrize("count", [1, MAX_IMAGES, MAX_IMAGES + 1, 3 * MAX_IMAGES])
def test_all_are_answered_by_the_version_that_answers_the_first(tmp_path: Path, count: int) -> None:
    asked = Asked()
    images = [tmp_path / f"{number}.png" for number in range(count)]
    answer = predicted(asked, images, version=None, top_k=1)
    assert (answer.version, len(answer.results)) == ("main@5", count)
    assert max(size for size, _, _ in asked.calls) <= MAX_IMAGES
    assert [version for _, version, _ in asked.calls[1:]] == ["5"] * (len(asked.calls) - 1)
    assert all(options == {"top_k": 1} for _, _, options in asked.calls)


def test_it_is_said_how_many_are_answered(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    images = [tmp_path / f"{number}.png" for number in range(2 * MAX_IMAGES + 1)]
    predicted(Asked(), images, version=None, on_progress=lambda *far: told.append(far))
    whole = 2 * MAX_IMAGES + 1
    assert told == [(0, whole), (MAX_IMAGES, whole), (2 * MAX_IMAGES, whole), (whole, whole)]


def test_images_that_are_too_many_bytes_together_go_apart(tmp_path: Path) -> None:
    images = [tmp_path / f"{number}.png" for number in range(3)]
    for image in images:
        with image.open("wb") as file:
            file.truncate(PART_BYTES // 2)
    assert list(parts(images)) == [images[:2], images[2:]]
