"""Data sets of libraries by name: torchvision's as it reads them, the hub's where it is there."""

import io
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from adapters.errors import InputError, NotFoundError, SettingsError
from cluster.client.remote.packing import task_to_send
from workers.intake.drafting import draft_task, is_source
from workers.sources import read_source
from workers.tasks.task import load_task

COLORS = {"banded": "red", "bumpy": "blue"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with DTD as it is published, of two classes, and MNIST of four digits."""
    monkeypatch.chdir(tmp_path)
    labels = tmp_path / "sets" / "dtd" / "dtd" / "labels"
    labels.mkdir(parents=True)
    for number, split in enumerate(("train", "val", "test")):
        listed = []
        for name, color in COLORS.items():
            folder = tmp_path / "sets" / "dtd" / "dtd" / "images" / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8 + number, 8), color).save(folder / f"{name}_{number}.jpg")
            listed.append(f"{name}/{name}_{number}.jpg\n")
        (labels / f"{split}1.txt").write_text("".join(listed))
    raw = tmp_path / "sets" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            b"".join(n.to_bytes(4, "big") for n in (2051, 2, 28, 28)) + bytes(784) + b"\xff" * 784
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            b"".join(n.to_bytes(4, "big") for n in (2049, 2)) + b"\x03\x07"
        )
    return tmp_path / "sets"


def test_a_data_set_of_torchvision_is_a_task_by_its_name(root: Path) -> None:
    source = f"torchvision://DTD?root={root}"
    assert is_source(source)
    draft = draft_task(source)
    assert draft.file.name == "DTD"
    assert draft.file.images == f"{source}&split=train"
    assert draft.file.held_out == f"{source}&split=test"
    task = load_task(draft.path, content=draft.content)
    assert {key: len(refs) for key, refs in task.images.items()} == {"banded": 1, "bumpy": 1}
    (ref,) = task.images["banded"]
    # the file as it is, not decoded and encoded again
    assert ref.read() == (root / "dtd/dtd/images/banded/banded_0.jpg").read_bytes()
    assert ref.origin == "torchvision://DTD:row 0"


def test_what_a_library_has_decoded_keeps_its_pixels(root: Path) -> None:
    found = read_source("torchvision://MNIST?root=sets&split=test", folder=root.parent)
    assert {key: len(refs) for key, refs in found.images.items()} == {
        "3 - three": 1,
        "7 - seven": 1,
    }
    with Image.open(io.BytesIO(found.images["7 - seven"][0].read())) as image:
        assert (image.format, image.size) == ("PNG", (28, 28))
        assert image.getextrema() == (255, 255)


def test_images_of_a_library_are_sent_along(root: Path) -> None:
    sent = task_to_send(f"torchvision://DTD?root={root}", adapter=None, default="main")
    assert json.loads(sent.content)["images"] == "images/list.csv"
    assert sent.files["images/list.csv"] == b"path,label\r\n0.img,banded\r\n1.img,bumpy\r\n"
    with sent.packed(lambda _done, _all: None) as parts:
        assert parts


WRONG: list[tuple[str, str]] = [
    ("torchvision://Flowers1002", "found 'Flowers1002'; did you mean 'Flowers102'"),
    ("torchvision://DTD?root=gone", "expected the files of DTD in .*gone as torchvision has them"),
    ("torchvision://DTD?root=sets&split=tset", "expected the files of DTD"),
    ("torchvision://DTD?rot=sets", r"expected torchvision://NAME\?root=FOLDER.*'root'"),
    ("torchvision://os", "expected the name of a data set of torchvision, found 'os'"),
    ("torchvision://", "expected torchvision://NAME"),
    ("hf://datasets/", "expected hf://datasets/OWNER/NAME"),
    ("hf://datasets/owner/birds?spilt=train", "expected hf://datasets.*'split'"),
]


@pytest.mark.parametrize(("source", "message"), WRONG)
def test_what_no_library_has_is_a_sentence(root: Path, source: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_source(source, folder=root.parent)
    assert isinstance(caught.value, NotFoundError | SettingsError)
    assert "\n" not in caught.value.message


def test_without_its_library_the_hub_says_what_to_install() -> None:
    if find_spec("datasets") is not None:
        pytest.skip("the library is there")
    with pytest.raises(SettingsError, match=r"pip install 'nacre\[huggingface\]'"):
        read_source("hf://datasets/owner/birds?split=train")


def test_what_was_sent_names_no_data_set_of_the_service(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="which this service does not read"):
        read_source("torchvision://DTD?root=/", within=tmp_path)
