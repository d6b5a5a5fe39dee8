"""Tasks as people and attackers upload them: task files, archives, and what is wrong with them."""

import io
import tarfile
from collections.abc import Mapping

from PIL import Image

Members = tuple[tuple[str, bytes | None], ...]
"""Names and contents; a folder where there is no content."""

TASK = "name: colors\nimages: images\n"


def picture(shade: int) -> bytes:
    """Return a small picture unlike those of other shades."""
    out = io.BytesIO()
    Image.new("RGB", (24, 20), (shade, 90, 200)).save(out, "PNG")
    return out.getvalue()


PICTURES: Members = tuple(
    (f"images/{name}/{number}.png", picture(100 * index + number))
    for index, name in enumerate(("red", "blue"))
    for number in range(3)
)


def packed(*members: tuple[str, bytes | None]) -> bytes:
    """Return a tar of `members`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            tar.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


LIST = "name: colors\nimages: list.csv\n"

REFUSED: Mapping[str, tuple[str, Members | None, str]] = {
    # what it is: task file, archive, and what the sentence says
    "a source of 400 characters": (f"name: c\nimages: {'a' * 400}", PICTURES, "'images' with 1"),
    "a source of 3,000 folders": (f"name: c\nimages: {'a/' * 3000}", PICTURES, "with 3000"),
    "test images of 400 characters": (f"{TASK}held_out: {'a' * 400}", PICTURES, "'held_out'"),
    "a seed of no digits, 0x_": (f"{TASK}seed: 0x_", PICTURES, "expected a number, found '0x_'"),
    "a seed of no digits, 0b_": (f"{TASK}seed: 0b_", PICTURES, "expected a number, found '0b_'"),
    "a seed of no digits, -0x_": (f"{TASK}seed: -0x_", PICTURES, "expected a number"),
    "a seed of no digits, 0o_": (f"{TASK}seed: 0o_", PICTURES, "expected a number"),
    "a seed of 5,000 digits": (f"{TASK}seed: {'9' * 5000}", PICTURES, "at most 18 digits"),
    "a file below the task file": (TASK, (("task.yaml/x", b"1"), *PICTURES), "'task.yaml/x'"),
    "a member twice": (TASK, (*PICTURES, PICTURES[0]), "is in it twice"),
    "a folder that was a file": (TASK, (("images", b"x"), *PICTURES), "as a file and as a folder"),
    "a file that was a folder": (TASK, (*PICTURES, ("images/red", b"x")), "as a folder"),
    "a member that climbs": (TASK, (*PICTURES, ("images/../x.png", b"1")), "leads outside"),
    "a member from the root": (TASK, (*PICTURES, ("/etc/x", b"1")), "leads outside"),
    "a member of 300 bytes": (TASK, (*PICTURES, (f"{'a' * 300}.png", b"1")), "of 304 bytes"),
    "a member 2,000 deep": (TASK, (*PICTURES, ("a/" * 2000 + "x", b"1")), "with 2001"),
    "no archive": (TASK, None, "expected an archive with the images of 'images'"),
    "no such source": ("name: c\nimages: photos/", PICTURES, "at photos ('images' in task.yaml"),
    "no such class": (f"{TASK}classes: {{green: green}}", PICTURES, "classes of task.yaml"),
    "no test images": (f"{TASK}held_out: test", PICTURES, "at test ('held_out' in task.yaml"),
    "a list that is no text": (LIST, (("list.csv", b"path,label\n\xff,x"), *PICTURES), "list.csv"),
    "a list of other columns": (LIST, (("list.csv", b"a,b\n1,2"), *PICTURES), "list.csv"),
    "a list of empty rows": (LIST, (("list.csv", b"path,label\n,\n"), *PICTURES), "list.csv"),
    "a list of what is not there": (
        LIST,
        (("list.csv", b"path,label\nphotos/9.png,red\nimages/blue/0.png,blue\n"), *PICTURES),
        "photos/9.png cannot be read",
    ),
    "a list that leads outside": (
        LIST,
        (("list.csv", b"path,label\n../9.png,red\nimages/blue/0.png,blue\n"), *PICTURES),
        "leads outside",
    ),
    "a list with a NUL": (LIST, (("list.csv", b"path,label\na\0b,red\n"), *PICTURES), "a NUL"),
    "a class of no UTF-8": (TASK, (*PICTURES, ("images/\udc80/a.png", b"1")), "no UTF-8"),
    "no Parquet": ("name: c\nimages: l.parquet", (("l.parquet", b"PAR1xPAR1"),), "l.parquet"),
    "no tar": ("name: c\nimages: a.tar", (("a.tar", b"no tar"),), "at a.tar"),
    "no shards": ("name: c\nimages: '{000..003}.tar'", PICTURES, "at 000.tar"),
    "packed shards": ("name: c\nimages: a.tar.gz", (("a.tar.gz", b"x"),), "a tar at a.tar.gz"),
    "no picture": (TASK, (*PICTURES, ("images/red/bad.png", b"no")), "images/red/bad.png"),
    "a prompt without a place": (f"{TASK}prompt: x", PICTURES, "the prompt of task.yaml"),
    "a name that climbs": ("name: ../x\nimages: images", PICTURES, "expected name in task.yaml"),
    "an adapter that climbs": (f"{TASK}adapter: ../x", PICTURES, "adapter in task.yaml"),
    "a source with a NUL": ('name: c\nimages: "a\\0b"', PICTURES, "a NUL"),
    "a source elsewhere": ("name: c\nimages: s3://other/x", PICTURES, "s3://other/x"),
    "nothing to replace": (f"{TASK}replaces: other", PICTURES, "'other'"),
}
"""What must not be accepted; none of it leads to an error that names a place of the service."""
