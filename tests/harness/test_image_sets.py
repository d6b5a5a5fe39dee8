"""Image sets in the layouts of their publishers, and sentences for what is missing."""

import gzip
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import InputError, NotFoundError, SettingsError
from harness.image_sets import read_image_set, read_image_sets
from harness.labelled import listing_digest
from harness.suite import SetConfig, read_suite
from tests.harness.conftest import COLORS, pictures
from workers.images.decode import decode_image


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(path)


def test_folders_are_classes_with_readable_names(tmp_path: Path) -> None:
    pictures(tmp_path, COLORS, images=2)
    (tmp_path / "meta.json").write_text(json.dumps({"classes": {"red": "dark_red"}}))
    found = read_image_set(SetConfig(name="colors", suffix=" paint"), tmp_path)
    assert found.classes == ("blue paint", "green paint", "dark red paint")
    assert [(image.name, image.label) for image in found.train][:3] == [
        ("train/blue/0.png", 0),
        ("train/blue/1.png", 0),
        ("train/green/0.png", 1),
    ]
    assert len(found.test) == 6


def test_the_splits_of_coop_name_images_labels_and_classes(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/2.jpg"):
        picture(tmp_path / "101_ObjectCategories" / name)
    split = {
        "train": [["a/1.jpg", 0, "leopard_cub"]],
        "val": [],
        "test": [["b/2.jpg", 1, "sea_horse"]],
    }
    (tmp_path / "split_zhou_Caltech101.json").write_text(json.dumps(split))
    found = read_image_set(SetConfig(name="caltech101", layout="coop"), tmp_path)
    assert found.classes == ("leopard cub", "sea horse")
    assert decode_image(found.test[0].read(), origin="test").size == (8, 8)


def test_aircraft_are_told_apart_by_their_variants(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("0034", "0035"):
        picture(data / "images" / f"{name}.jpg")
    (data / "variants.txt").write_text("707-320\nBoeing 717\n")
    (data / "images_variant_train.txt").write_text("0034 707-320\n")
    (data / "images_variant_test.txt").write_text("0035 Boeing 717\n")
    found = read_image_set(SetConfig(name="aircraft", layout="aircraft"), tmp_path)
    assert found.classes == ("707-320", "Boeing 717")
    assert [image.label for image in found.test] == [1]


def digits(folder: Path, part: str, labels: list[int]) -> None:
    shape = struct.pack(">IIII", 2051, len(labels), 4, 4)
    content = shape + bytes(range(16)) * len(labels)
    (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    content = struct.pack(">II", 2049, len(labels)) + bytes(labels)
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(content)


def test_digits_come_packed_or_not(tmp_path: Path) -> None:
    digits(tmp_path, "train", [3, 1])
    digits(tmp_path, "t10k", [7])
    found = read_image_set(SetConfig(name="mnist", layout="mnist"), tmp_path)
    assert found.classes[7] == 'number: "7 - seven"'
    assert [image.label for image in found.train] == [3, 1]
    picture = decode_image(found.train[1].read(), origin="digit")
    assert picture.getpixel((1, 0)) == (1, 1, 1)


def test_digits_of_another_length_are_refused(tmp_path: Path) -> None:
    digits(tmp_path, "train", [3, 1])
    digits(tmp_path, "t10k", [7])
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 2) + b"\1\2")
    with pytest.raises(InputError, match="other lengths"):
        read_image_set(SetConfig(name="mnist", layout="mnist"), tmp_path)


def cifar(folder: Path, *, names: str, labels: dict[str, list[int]], before: int) -> None:
    """Write files of images, plain in a color of their label, with so many bytes before each."""
    folder.mkdir()
    (folder / names).write_text("apple\naquarium_fish\n\n")
    for name, of_file in labels.items():
        images = [
            bytes([9] * (before - 1) + [label]) + bytes([label]) * 1024 + bytes(2048)
            for label in of_file
        ]
        (folder / name).write_bytes(b"".join(images))


@pytest.mark.parametrize(
    ("names", "train", "test", "before"),
    [
        ("fine_label_names.txt", ["train.bin"], "test.bin", 2),
        ("batches.meta.txt", [f"data_batch_{n}.bin" for n in range(1, 6)], "test_batch.bin", 1),
    ],
)
def test_cifar_is_read_as_it_is_published(
    tmp_path: Path, names: str, train: list[str], test: str, before: int
) -> None:
    labels = {**{name: [1, 0] for name in train}, test: [1]}
    cifar(tmp_path / "binary", names=names, labels=labels, before=before)
    found = read_image_set(SetConfig(name="cifar", layout="cifar"), tmp_path)
    assert found.classes == ("apple", "aquarium fish")
    assert [image.label for image in found.train] == [1, 0] * len(train)
    assert decode_image(found.test[0].read(), origin="test").getpixel((31, 0)) == (1, 0, 0)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"train.bin": [7], "test.bin": [0]}, "labels below 2"),
        ({"train.bin": [], "test.bin": [0]}, "found 0 bytes"),
    ],
)
def test_files_that_are_not_cifar_are_refused(
    tmp_path: Path, labels: dict[str, list[int]], said: str
) -> None:
    cifar(tmp_path / "binary", names="fine_label_names.txt", labels=labels, before=2)
    with pytest.raises(InputError, match=said):
        read_image_set(SetConfig(name="cifar", layout="cifar"), tmp_path)


def test_cifar_without_its_files_is_told_what_is_expected(tmp_path: Path) -> None:
    one = SetConfig(name="cifar", layout="cifar")
    with pytest.raises(NotFoundError, match=r"fine_label_names\.txt or batches\.meta\.txt"):
        read_image_set(one, tmp_path)
    cifar(tmp_path / "b", names="fine_label_names.txt", labels={"train.bin": [0]}, before=2)
    with pytest.raises(NotFoundError, match=r"expected .*test\.bin"):
        read_image_set(one, tmp_path)


def test_test_images_may_lie_in_a_folder_val(tmp_path: Path) -> None:
    pictures(tmp_path, COLORS, images=2)
    (tmp_path / "test").rename(tmp_path / "val")
    assert len(read_image_set(SetConfig(name="colors"), tmp_path).test) == 6


def test_every_missing_set_is_named_with_where_it_is_had(
    write_suite: Callable[..., Path],
) -> None:
    sets = [{"name": "colors"}, {"name": "dtd", "layout": "coop"}, {"name": "mnist"}]
    suite = read_suite(write_suite(sets=sets, orders={}))
    with pytest.raises(NotFoundError) as raised:
        read_image_sets(suite)
    first, second = raised.value.message.splitlines()
    assert "dtd: expected a folder" in first
    assert "Describable Textures" in first
    assert "split_zhou" in first
    assert "four MNIST files" in second


def test_a_set_without_its_split_is_told_which_file_is_expected(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"split_zhou_\*"):
        read_image_set(SetConfig(name="dtd", layout="coop"), tmp_path)


def test_a_set_without_test_images_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "red" / "1.png")
    with pytest.raises(InputError, match="expected test images"):
        read_image_set(SetConfig(name="colors"), tmp_path)


def test_a_list_is_named_by_its_names_and_labels(tmp_path: Path) -> None:
    pictures(tmp_path, COLORS, images=2)
    found = read_image_set(SetConfig(name="colors"), tmp_path)
    assert listing_digest(found.train) == listing_digest(list(found.train))
    assert listing_digest(found.train) != listing_digest(found.train[1:])
    assert listing_digest(found.train) != listing_digest(found.test)


def test_a_set_may_be_read_from_whatever_a_task_is_submitted_from(tmp_path: Path) -> None:
    pictures(tmp_path, COLORS, images=2)
    rows = [f"test/{name}/{number}.png,{name}" for name in COLORS for number in range(2)]
    (tmp_path / "test.csv").write_text("\n".join(["path,label", *rows]))
    one = SetConfig(name="colors", layout="source", images="train", held_out="test.csv")
    found = read_image_set(one, tmp_path)
    laid = read_image_set(SetConfig(name="colors"), tmp_path)
    assert found.classes == laid.classes
    for part in ("train", "test"):
        sets = (found, laid)
        read, expected = ([(each.label, each.read()) for each in getattr(s, part)] for s in sets)
        assert read == expected


def test_test_images_of_a_class_that_is_not_learnt_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path, COLORS, images=1)
    shutil.rmtree(tmp_path / "train" / "red")
    one = SetConfig(name="colors", layout="source", images="train", held_out="test")
    with pytest.raises(InputError, match=r"not among those that are learnt: .red.;"):
        read_image_set(one, tmp_path)


@pytest.mark.parametrize(
    "given", [{"images": "a", "held_out": "b"}, {"layout": "source", "held_out": "a"}]
)
def test_sources_are_named_with_their_layout(
    given: dict[str, str], write_suite: Callable[..., Path]
) -> None:
    path = write_suite(sets=[{"name": "colors", **given}], orders={})
    with pytest.raises(SettingsError, match="expected both `images` and `held_out` or none"):
        read_suite(path)


FORMATS = Path(__file__).parents[1] / "fixtures" / "formats"


@pytest.mark.parametrize("name", ["hub", "saved", "shards", "coop", "cvat"])
def test_a_set_may_lie_in_any_format_that_a_task_may(name: str) -> None:
    one = SetConfig(name="birds", folder=name, layout="source", suffix=" bird")
    found = read_image_set(one, FORMATS / name)
    assert found.classes == ("barn owl bird", "red kite bird")
    assert [len(found.train), len(found.test)] == [4, 2]
    assert len({each.name for each in (*found.train, *found.test)}) == 6
    assert all(each.read().startswith(b"\x89PNG") for each in (*found.train, *found.test))


def test_a_set_of_a_source_that_is_not_there_says_so() -> None:
    one = SetConfig(name="birds", folder="gone", layout="source")
    with pytest.raises(NotFoundError, match="found nothing"):
        read_image_set(one, FORMATS / "gone")
