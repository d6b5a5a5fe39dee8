"""Sources on this machine: paths beside the task file."""

import sys
from pathlib import Path

import pytest

from adapters.errors import SettingsError
from tests.support.conformance.sources import EXPECTED, RED, Site, SourceSuite, parquet, read
from workers.sources import images_by_class
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


class TestLocalSources(SourceSuite):
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
            assert read(images_by_class(source, folder=tmp_path)) == {"red": [RED]}

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
