"""Makes a small real file of each format, with the tool that people make it with.

Run by `make prove-formats`, in an environment of its own that has `datasets`, `webdataset`,
`pandas`, `polars` and the tars of GNU and BSD; it imports nothing of nacre. The argument is the
folder to write to. Everything shows the same: four training and two test images of two classes.
"""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import datasets
import pandas
import polars
import webdataset
from PIL import Image

CLASSES = ("barn_owl", "red kite")
SHADES = {"train": (40, 90), "test": (200,)}
DIRECTION = {"barn_owl": (1, 0), "red kite": (0, 1)}


def picture(name: str, shade: int) -> bytes:
    """Return a PNG of a class: a gradient of its own direction."""
    across, down = DIRECTION[name]
    image = Image.new("L", (8, 8))
    image.putdata(
        [min(255, shade + 5 * (across * x + down * y)) for y in range(8) for x in range(8)]
    )
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def images(split: str) -> list[tuple[str, str, bytes]]:
    """Return file name, class and content of the images of a split."""
    return [
        (f"{name.replace(' ', '-')}-{shade}.png", name, picture(name, shade))
        for name in CLASSES
        for shade in SHADES[split]
    ]


def _files(folder: Path, split: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, _, content in images(split):
        (folder / name).write_bytes(content)


def _dataset(split: str) -> datasets.Dataset:
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))}
    )
    rows = [
        {"image": {"bytes": content, "path": name}, "label": CLASSES.index(label)}
        for name, label, content in images(split)
    ]
    return datasets.Dataset.from_list(rows, features=features)


def hugging_face(folder: Path) -> None:
    """Parquet as `push_to_hub` shards it, a saved data set of two splits, and image folders."""
    hub = folder / "hub" / "data"
    hub.mkdir(parents=True)
    train = _dataset("train")
    for number in range(2):
        train.shard(2, number, contiguous=True).to_parquet(
            hub / f"train-{number:05d}-of-00002.parquet"
        )
    _dataset("test").to_parquet(hub / "test-00000-of-00001.parquet")
    both = datasets.DatasetDict({"train": train, "test": _dataset("test")})
    both.save_to_disk(folder / "saved")
    for ending in ("csv", "jsonl"):
        for split in SHADES:
            target = folder / f"imagefolder-{ending}" / split
            _files(target, split)
            table = pandas.DataFrame(
                {
                    "file_name": [n for n, _, _ in images(split)],
                    "label": [c for _, c, _ in images(split)],
                }
            )
            if ending == "csv":
                table.to_csv(target / "metadata.csv", index=False)
            else:
                table.to_json(target / "metadata.jsonl", orient="records", lines=True)


def lists(folder: Path) -> None:
    """Lists as pandas and polars write them, with other columns, separators and line ends."""
    _files(folder / "lists" / "photos", "train")
    rows = [(f"photos/{name}", label) for name, label, _ in images("train")]
    table = pandas.DataFrame({"filepath": [p for p, _ in rows], "species": [c for _, c in rows]})
    to = folder / "lists"
    table.to_csv(
        to / "excel.csv", index=False, sep=";", encoding="utf-8-sig", lineterminator="\r\n"
    )
    table.to_csv(to / "indexed.tsv", sep="\t")
    table.assign(species=table.species.astype("category")).to_parquet(to / "pandas.parquet")
    table.to_json(to / "lines.jsonl", orient="records", lines=True)
    table.to_json(to / "records.json", orient="records")
    hot = pandas.concat([table[["filepath"]], pandas.get_dummies(table.species)], axis=1)
    hot.to_csv(to / "one_hot.csv", index=False)
    frame = polars.DataFrame({"filepath": [p for p, _ in rows], "species": [c for _, c in rows]})
    frame.write_csv(to / "polars.csv")
    frame.with_columns(polars.col("species").cast(polars.Categorical)).write_parquet(
        to / "polars.parquet"
    )
    frame.write_ndjson(to / "polars.ndjson")


def shards(folder: Path) -> None:
    """Shards as `webdataset` and both tars write them."""
    to = folder / "shards"
    to.mkdir()
    (to / "classnames.txt").write_text("\n".join(CLASSES) + "\n")
    for ending in ("tar", "tar.gz"):
        for split in SHADES:
            with webdataset.TarWriter(str(to / f"{split}-000000.{ending}")) as writer:
                for number, (_, label, content) in enumerate(images(split)):
                    key = f"birds/{split}/{number:06d}"
                    writer.write({"__key__": key, "png": content, "cls": CLASSES.index(label)})
    samples = folder / "samples" / ("a-folder-with-a-long-name-" * 5).rstrip("-")
    samples.mkdir(parents=True)
    for name, label, content in images("train"):
        (samples / name).write_bytes(content)
        (samples / name).with_suffix(".cls").write_text(label)
        # what macOS keeps of a file on other disks
        (samples / f"._{name}").write_bytes(b"\0\x05\x16\x07" + bytes(78))
    tars = folder / "tars"
    tars.mkdir()
    at = ["-C", str(folder / "samples"), "."]
    subprocess.run(["tar", "--format=gnu", "-cf", tars / "gnu.tar", *at], check=True)
    subprocess.run(["tar", "--format=pax", "-cf", tars / "pax.tar", *at], check=True)
    subprocess.run(["bsdtar", "-cf", tars / "bsd.tar", *at], check=True)
    subprocess.run(["bsdtar", "--format=pax", "-cf", tars / "bsd-pax.tar", *at], check=True)
    joined = b"".join((to / f"{split}-000000.tar").read_bytes() for split in SHADES)
    (tars / "joined.tar").write_bytes(joined)
    shutil.rmtree(folder / "samples")


def exports(folder: Path) -> None:
    """Exports of labelling tools and toolkits, as their documentation has them."""
    _coop(folder / "coop")
    _fiftyone(folder / "fiftyone")
    _label_studio(folder / "label_studio")
    _cvat(folder / "cvat")


def _coop(to: Path) -> None:
    split = {}
    for name in SHADES:
        _files(to / "images", name)
        split[name] = [[n, CLASSES.index(label), label] for n, label, _ in images(name)]
    (to / "split_zhou_Birds.json").write_text(json.dumps({**split, "val": []}, indent=4))


def _fiftyone(to: Path) -> None:
    _files(to / "data", "train")
    labels = {Path(n).stem: CLASSES.index(label) for n, label, _ in images("train")}
    (to / "labels.json").write_text(json.dumps({"classes": list(CLASSES), "labels": labels}))


def _label_studio(to: Path) -> None:
    tasks, flat = [], []
    (to / "images").mkdir(parents=True)
    for number, (name, label, content) in enumerate(images("train"), 1):
        stored = f"{number:08x}-{name}"
        (to / "images" / stored).write_bytes(content)
        address = f"/data/upload/3/{stored}"
        result = {
            "value": {"choices": [label]},
            "id": f"r{number}",
            "from_name": "choice",
            "to_name": "image",
            "type": "choices",
            "origin": "manual",
        }
        tasks.append(
            {
                "id": number,
                "annotations": [
                    {"id": number, "completed_by": 1, "result": [result], "was_cancelled": False}
                ],
                "file_upload": stored,
                "predictions": [],
                "data": {"image": address},
                "project": 3,
            }
        )
        flat.append(
            {
                "image": address,
                "id": number,
                "choice": label,
                "annotator": 1,
                "annotation_id": number,
                "lead_time": 1.5,
            }
        )
    unlabelled = {
        **tasks[0],
        "id": 99,
        "annotations": [],
        "data": {"image": "/data/upload/3/x.png"},
    }
    (to / "tasks.json").write_text(json.dumps([*tasks, unlabelled]))
    (to / "min.json").write_text(json.dumps(flat))
    pandas.DataFrame(flat).to_csv(to / "export.csv", index=False)


def _cvat(to: Path) -> None:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>"]
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    lines.append(
        f"  <meta><task><id>1</id><name>birds</name><labels>{labels}</labels></task></meta>"
    )
    number = 0
    for split in SHADES:
        _files(to / "images" / split, split)
        for name, label, _ in images(split):
            lines += [
                f'  <image id="{number}" name="{name}" subset="{split}" width="8" height="8">',
                f'    <tag label="{label}" source="manual"></tag>',
                "  </image>",
            ]
            number += 1
    lines += ['  <image id="9" name="none.png" subset="train" width="8" height="8">', "  </image>"]
    (to / "annotations.xml").write_text("\n".join([*lines, "</annotations>", ""]))


def main() -> None:
    """Write all formats to a folder."""
    folder = Path(sys.argv[1])
    for write in (hugging_face, lists, shards, exports):
        write(folder)


if __name__ == "__main__":
    main()
