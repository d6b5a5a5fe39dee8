"""What comes of each real file: the keys of its draft, and how many images its splits have."""

from dataclasses import dataclass, field
from typing import Any

NAMED = {"barn_owl": "barn owl", "red kite": "red kite"}
NUMBERED = {"0": "barn owl", "1": "red kite"}


@dataclass(frozen=True, kw_only=True)
class Read:
    """What comes of a real file.

    Attributes:
        held_out: The source of test images, relative to the folder of formats, if it shows one.
        images: That of training images.
        columns: Its columns where they are called otherwise.
        classes: Readable names by key.
        train: Images of each class.
    """

    images: str
    held_out: str | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=lambda: NAMED)
    train: int = 2


OTHER = {"path": "filepath", "label": "species"}
HOT = {"path": "filepath", "one_hot": ["*"]}
REAL: dict[str, Read] = {
    "hub": Read(
        images="hub/data/train-*-of-00002.parquet",
        held_out="hub/data/test-00000-of-00001.parquet",
    ),
    "hub/data/train-*.parquet": Read(images="hub/data/train-*.parquet"),
    "saved": Read(images="saved/train", held_out="saved/test"),
    "saved/train/data-00000-of-00001.arrow": Read(images="saved/train/data-00000-of-00001.arrow"),
    "imagefolder-csv": Read(images="imagefolder-csv/train", held_out="imagefolder-csv/test"),
    "imagefolder-jsonl": Read(images="imagefolder-jsonl/train", held_out="imagefolder-jsonl/test"),
    **{
        f"lists/{name}": Read(images=f"lists/{name}", columns=OTHER)
        for name in (
            *("excel.csv", "indexed.tsv", "pandas.parquet", "lines.jsonl", "records.json"),
            *("polars.csv", "polars.parquet", "polars.ndjson"),
        )
    },
    "lists/one_hot.csv": Read(images="lists/one_hot.csv", columns=HOT),
    "shards": Read(
        images="shards/train-000000.tar", held_out="shards/test-000000.tar", classes=NUMBERED
    ),
    "shards/train-000000.tar.gz": Read(images="shards/train-000000.tar.gz", classes=NUMBERED),
    "shards/train-{000000..000000}.tar": Read(
        images="shards/train-{000000..000000}.tar", classes=NUMBERED
    ),
    **{
        f"tars/{name}.tar": Read(images=f"tars/{name}.tar")
        for name in ("gnu", "pax", "bsd", "bsd-pax")
    },
    "tars/joined.tar": Read(images="tars/joined.tar", classes={"0": "0", "1": "1"}, train=3),
    "coop": Read(
        images="coop/split_zhou_Birds.json#train", held_out="coop/split_zhou_Birds.json#test"
    ),
    "fiftyone": Read(images="fiftyone/labels.json"),
    **{
        f"label_studio/{name}": Read(images=f"label_studio/{name}")
        for name in ("tasks.json", "min.json", "export.csv")
    },
    "cvat": Read(images="cvat/annotations.xml#train", held_out="cvat/annotations.xml#test"),
}
"""By the source that is named, relative to the folder of formats."""
