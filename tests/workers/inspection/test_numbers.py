"""The numeric core of an inspection: neighbours, doubted labels, outliers, pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from workers.images.signature import mirrored, signature_of, vectors_of
from workers.inspection.labels import by_suspicion, is_flagged, parts_of, probabilities_of
from workers.inspection.neighbours import COLUMNS, ROWS, neighbours
from workers.inspection.outliers import UNUSUAL, distances, unusual_by

DRAW = np.random.default_rng


def units(rows: np.ndarray) -> np.ndarray:
    found: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found.astype(np.float32)


def classes_of(images: int, *, classes: int, width: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Return unit features of some images of each class, around a mean of its own."""
    draw = DRAW(1)
    labels = np.repeat(np.arange(classes), images)
    means = draw.normal(size=(classes, width))
    return units(means[labels] + 0.3 * draw.normal(size=(len(labels), width))), labels


def test_neighbours_are_those_of_all_products_across_the_bounds_of_blocks() -> None:
    vectors = units(DRAW(0).normal(size=(COLUMNS + 100, 4)))
    found = neighbours(vectors, vectors, most=4)
    for row in (0, ROWS - 1, ROWS, COLUMNS - 1, COLUMNS, COLUMNS + 99):
        products = vectors @ vectors[row]
        products[row] = -np.inf
        assert np.allclose(found.cosines[row], np.sort(products)[::-1][:4], atol=1e-6)
        assert np.allclose(products[found.places[row]], found.cosines[row], atol=1e-6)


@pytest.mark.parametrize("images", [0, 1, 3])
def test_few_images_have_few_neighbours(images: int) -> None:
    vectors = units(DRAW(0).normal(size=(images, 8)))
    found = neighbours(vectors, vectors, most=5)
    assert found.places.shape == found.cosines.shape == (images, max(0, images - 1))


def test_swapped_labels_are_the_most_suspicious_ones() -> None:
    features, labels = classes_of(20, classes=4)
    wrong = [3, 25, 47]
    labels[wrong] = (labels[wrong] + 1) % 4
    probabilities = probabilities_of(features, labels, 4)
    assert set(by_suspicion(probabilities, labels)[:3]) == set(wrong)
    assert set(np.flatnonzero(is_flagged(probabilities, labels))) == set(wrong)


def test_rows_of_probabilities_add_up_to_one_and_small_classes_are_not_judged() -> None:
    features, labels = classes_of(12, classes=3)
    labels[:2] = 3
    probabilities = probabilities_of(features, labels, 5)
    assert not probabilities[:2].any()
    assert np.allclose(probabilities[2:].sum(axis=1), 1, atol=1e-5)
    assert not probabilities[:, 3:].any()
    assert not {0, 1} & set(by_suspicion(probabilities, labels))


def test_where_there_is_one_class_nothing_is_mistaken_for_another() -> None:
    features, _ = classes_of(12, classes=1)
    labels = np.zeros(12, np.int64)
    probabilities = probabilities_of(features, labels, 1)
    assert not is_flagged(probabilities, labels).any()


def test_two_classes_are_told_apart_like_many() -> None:
    features, labels = classes_of(15, classes=2)
    labels[4] = 1
    probabilities = probabilities_of(features, labels, 2)
    assert by_suspicion(probabilities, labels)[0] == 4


def test_every_class_is_in_as_many_parts_as_it_can_be() -> None:
    labels = np.array([0] * 3 + [1] * 7)
    parts = parts_of(labels)
    assert len(set(parts[labels == 0])) == 3
    assert len(set(parts[labels == 1])) == 5


def test_images_far_from_all_classes_are_unusual_and_one_of_a_wrong_class_is_not() -> None:
    features, labels = classes_of(30, classes=3)
    other = DRAW(5).normal(size=24)
    for place in (5, 40, 75):
        features[place] = units((other + 0.1 * DRAW(place).normal(size=24))[None])[0]
    labels[70] = 0
    unusual = unusual_by(distances(features, labels, 3), labels)
    assert set(np.argsort(-unusual)[:3]) == {5, 40, 75}
    assert min(unusual[[5, 40, 75]]) >= UNUSUAL > unusual[70]


def test_an_image_does_not_vouch_for_itself_and_classes_without_images_do_not_count() -> None:
    features = np.eye(4, dtype=np.float32)[[0, 0, 1]]
    assert distances(features, np.array([0, 0, 2]), 4).tolist() == [0, 0, 1]
    assert unusual_by(distances(features[:0], np.array([], np.int64), 4), np.array([])).size == 0


def picture(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    small = DRAW(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def again(original: Image.Image, quality: int) -> Image.Image:
    written = io.BytesIO()
    original.save(written, "JPEG", quality=quality)
    return Image.open(written).convert("RGB")


def test_a_picture_saved_again_smaller_or_mirrored_has_the_same_signature() -> None:
    first = picture(1)
    made = [again(first, 40), first.resize((30, 20)), first.transpose(Image.Transpose(0))]
    known, *others = vectors_of([signature_of(each) for each in (first, *made)])
    assert (np.stack(others[:2]) @ known > 0.99).all()
    assert mirrored(others[2][None])[0] @ known > 0.99
    assert others[2] @ known < 0.9
    (other,) = vectors_of([signature_of(picture(2))])
    assert other @ known < 0.9


def test_a_picture_of_one_grey_is_like_no_other() -> None:
    plain = [signature_of(Image.new("RGB", (20, 20), (shade,) * 3)) for shade in (10, 200)]
    assert not vectors_of(plain).any()
    assert vectors_of([]).shape == (0, 256)
