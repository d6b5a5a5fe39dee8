"""Sources on this machine: paths beside the task file."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from adapters.errors import ImageError, InputError, SettingsError, UnavailableError
from tests.support.conformance.lists import ListSuite
from tests.support.conformance.sources import EXPECTED, RED, Site, SourceSuite, parquet, read
from tests.support.conformance.surveys import SurveySuite, check_sum, passed, picture
from workers.sources import read_source
from workers.sources.places.survey import What
from workers.store.local import open_local_store


class LocalSite(Site):
    """Files in a folder."""

    opener = staticmethod(open_local_store)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def source(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return LocalSite(tmp_path)


class TestLocalSources(SourceSuite, SurveySuite, ListSuite):
    """Every kind of source in a folder of this machine."""

    def test_paths_of_a_list_may_lead_anywhere(self, site: Site, tmp_path: Path) -> None:
        for name, content in zip(("1.jpg", "2.jpg", "3.jpg"), EXPECTED["red"] * 2, strict=False):
            site.write(f"images/{name}", content)
        rows = f"path,label\n../images/1.jpg,red\n{tmp_path}/images/2.jpg,red\n"
        site.write("lists/train.csv", rows.encode())
        assert read(site.images("lists/train.csv")) == {"red": EXPECTED["red"]}

    def test_what_a_folder_hides_is_left_alone(self, site: Site) -> None:
        for name in ("red/1.jpg", "red/._1.jpg", ".cache/1.jpg", ".DS_Store"):
            site.write(f"train/{name}", RED)
        assert read(site.images("train")) == {"red": [RED]}

    def test_a_path_is_relative_to_the_folder_that_is_given(
        self, site: Site, tmp_path: Path
    ) -> None:
        site.write("train/red/1.jpg", RED)
        for source in ("train", "./train", f"file://{tmp_path}/train"):
            assert read(read_source(source, folder=tmp_path).images) == {"red": [RED]}

    def test_a_file_that_is_called_like_a_pattern_is_that_file(self, site: Site) -> None:
        site.write("x[1].csv", b"path,label\n1.jpg,red\n")
        site.write("1.jpg", RED)
        assert read(site.images("x[1].csv")) == {"red": [RED]}

    def test_without_pyarrow_a_parquet_list_says_what_to_install(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.write("train.parquet", parquet(["1.jpg"], ["red"]))
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(SettingsError, match="pip install pyarrow"):
            site.images("train.parquet")

    def write_classes(self, site: Site) -> None:
        for name in ("red/1.jpg", "blue/1.jpg"):
            site.write(f"train/{name}", RED)

    def test_what_is_hidden_is_looked_into_where_that_is_possible(self, site: Site) -> None:
        self.write_classes(site)
        site.write("train/red/.more/b", picture())
        (hidden,) = site.read("train").survey.passed_over
        assert (hidden.what, hidden.are_pictures, hidden.kinds) == (
            What.HIDDEN,
            True,
            (("JPEG", 1),),
        )

    def test_links_to_images_and_to_folders_of_classes_are_followed(
        self, site: Site, tmp_path: Path
    ) -> None:
        self.write_classes(site)
        site.write("elsewhere/2.jpg", RED)
        (tmp_path / "train" / "red" / "2.jpg").symlink_to(tmp_path / "elsewhere" / "2.jpg")
        (tmp_path / "train" / "green").symlink_to(tmp_path / "elsewhere")
        source = site.read("train")
        assert {key: len(refs) for key, refs in source.images.items()} == {
            "blue": 1,
            "green": 1,
            "red": 2,
        }
        assert not source.survey.passed_over

    def test_links_that_lead_back_are_counted_and_not_followed(
        self, site: Site, tmp_path: Path
    ) -> None:
        self.write_classes(site)
        train = tmp_path / "train"
        (train / "again").symlink_to(".")
        (train / "up").symlink_to("..")
        (train / "red" / "up").symlink_to("..")
        (train / "red" / "blue").symlink_to("../blue")
        (train / "red" / "gone").symlink_to("nowhere")
        (train / "red" / "itself").symlink_to("itself")
        source = site.read("train")
        check_sum(source.survey)
        assert list(source.images) == ["blue", "red"]
        assert passed(source.survey) == {(What.LINKS, False): {"links": 6}}

    @pytest.mark.parametrize("target", ["nowhere.jpg", "2.jpg", "."])
    def test_a_link_where_an_image_should_be_is_refused_by_name(
        self, site: Site, tmp_path: Path, target: str
    ) -> None:
        self.write_classes(site)
        (tmp_path / "train" / "red" / "2.jpg").symlink_to(target)
        refs = site.images("train")["red"]
        reasons = r"where nothing is|Too many levels of symbolic links|it is a folder"
        with pytest.raises(ImageError, match=rf"red/2\.jpg cannot be read: .*({reasons})"):
            refs[1].read()

    def test_nobody_waits_for_what_a_pipe_might_say(self, site: Site, tmp_path: Path) -> None:
        self.write_classes(site)
        os.mkfifo(tmp_path / "train" / "red" / "2.jpg")
        os.mkfifo(tmp_path / "train" / "red" / "pipe")
        source = site.read("train")
        assert passed(source.survey) == {(What.SPECIAL, False): {"special files": 1}}
        with pytest.raises(ImageError, match="it is no regular file"):
            source.images["red"][1].read()
        for name in ("pipe.csv", "pipe.tar", "pipe.parquet"):
            os.mkfifo(tmp_path / name)
            with pytest.raises(InputError, match=name):
                site.images(name)

    def test_names_that_are_no_utf_8_are_refused_where_they_name_a_class(
        self, site: Site, tmp_path: Path
    ) -> None:
        self.write_classes(site)
        for folder in (b"caf\xe9", b"a\nb", b"\x1b[31m"):
            made = os.path.join(os.fsencode(tmp_path), b"train", folder)  # noqa: PTH118 - of bytes
            os.mkdir(made)  # noqa: PTH102
        with pytest.raises(SettingsError, match="cannot be class names: 3; rename") as caught:
            site.images("train")
        assert r"train/caf\xe9 has bytes that are no UTF-8" in caught.value.message
        assert r"train/a\nb has control characters" in caught.value.message
        assert r"train/\x1b[31m has control characters" in caught.value.message

    def test_names_of_files_need_not_be_utf_8_and_are_told_escaped(
        self, site: Site, tmp_path: Path
    ) -> None:
        self.write_classes(site)
        site.write(os.fsdecode(b"train/red/caf\xe9.jpg"), RED)
        site.write(os.fsdecode(b"train/red/caf\xe9.txt"), b"x")
        source = site.read("train")
        assert len(source.images["red"]) == 2
        assert source.images["red"][1].origin == rf"{tmp_path}/train/red/caf\xe9.jpg"
        assert source.survey.passed_over[0].examples == (r"red/caf\xe9.txt",)

    IMPOSSIBLE: ClassVar[list[str]] = ["a" * 300, "a/" * 3000, "nul\0", "\udce9", "file:///a\0b"]

    @pytest.mark.parametrize("name", IMPOSSIBLE)
    def test_a_name_that_no_file_can_have_is_a_sentence(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match=r"found nothing|can be no source"):
            read_source(name, folder=tmp_path)
        with pytest.raises(InputError, match=r"found nothing|can be no source|cannot be listed"):
            read_source(f"{name}/x-*.tar", folder=tmp_path)

    def test_what_nobody_may_read_is_a_sentence(self, site: Site, tmp_path: Path) -> None:
        self.write_classes(site)
        site.write("train/red/more/a/2.jpg", RED)
        site.write("train/red/notes", b"x")
        for name, mode in (("red/more", 0), ("red/notes", 0), ("red/1.jpg", 0), ("lost+found", 0)):
            path = tmp_path / "train" / name
            path.mkdir(exist_ok=True) if name == "lost+found" else None
            path.chmod(mode)
        told = as_nobody(tmp_path, "train")
        assert told["passed"] == [
            ["CLOSED", ["folders", "without extension"]],
            ["SYSTEM", ["lost+found"]],
        ]
        assert "Permission denied" in told["refused"]
        (tmp_path / "train" / "red").chmod(0)
        assert (
            "train/red cannot be listed: Permission denied" in as_nobody(tmp_path, "train")["wrong"]
        )
        (tmp_path / "train").chmod(0)
        assert "train cannot be listed: Permission denied" in as_nobody(tmp_path, "train")["wrong"]
        (tmp_path / "hidden").mkdir(mode=0)
        assert "Permission denied" in as_nobody(tmp_path, "hidden/train")["wrong"]

    @pytest.mark.parametrize("name", ["x.csv", "x.tar", "x.parquet"])
    def test_a_disk_that_cannot_be_read_is_a_sentence(
        self, site: Site, tmp_path: Path, name: str
    ) -> None:
        if not Path("/proc/self/mem").exists():
            pytest.skip("Linux alone has a file that fails when it is read")
        (tmp_path / name).symlink_to("/proc/self/mem")
        with pytest.raises(SettingsError, match=rf"{name}.* (Input/output error|Invalid argument)"):
            site.images(name)

    def test_work_that_nobody_waits_for_stops(self, site: Site) -> None:
        site.write("x.csv", b"path,label\n" + b"".join(b"%d.jpg,a\n" % n for n in range(5000)))
        asked = []

        def on_seen() -> None:
            asked.append(1)
            if len(asked) == 2:
                raise UnavailableError("nobody waits")

        with pytest.raises(UnavailableError):
            read_source(site.source("x.csv"), on_seen=on_seen)
        assert len(asked) == 2


AS_NOBODY = """
import json, os, sys
from adapters.errors import NacreError
from workers.sources import read_source

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
told = {}
try:
    source = read_source(sys.argv[1])
    told["passed"] = [
        [each.what.name, sorted(dict(each.kinds))] for each in source.survey.passed_over
    ]
    source.images["red"][0].read()
except NacreError as error:
    told["refused" if "passed" in told else "wrong"] = error.message
print(json.dumps(told))
"""


def as_nobody(folder: Path, name: str) -> dict[str, Any]:
    """Return what a user without rights is told of a source; root may read everything."""
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    for each in (folder, *folder.parents):  # a test's, a process's, a run's, all of pytest's
        if each.stat().st_mode & 0o001 == 0:  # never the machine's own, which has more rights
            each.chmod(0o755)
    run = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(folder / name)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found
