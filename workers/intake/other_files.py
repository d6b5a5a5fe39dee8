"""Files that are neither a task file nor a source, by how they begin, and what to do with them."""

from pathlib import Path

from adapters.errors import InputError

_UNPACK = "unpack it, and name the folder"
_AS_FILES = (
    "write its pictures as files, a folder for each class, and name the folder that has them"
)
_TORCHVISION = (
    "name it as torchvision does, as in 'torchvision://MNIST?root=FOLDER', where it is one of its "
    f"data sets; otherwise {_AS_FILES}"
)
_NPZ = ".npz"
_KINDS: tuple[tuple[bytes, str, str], ...] = (
    # how it begins, what it is, what to do
    (b"PK\3\4", "a ZIP archive", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x89HDF", "HDF5", _AS_FILES),
    (b"\x93NUMPY", "a NumPy array", _AS_FILES),
    (b"MATLAB 5.0", "a file of MATLAB", _AS_FILES),
    (b"SQLite format 3", "an SQLite database", _AS_FILES),
    *(
        (bytes((0, 0, 8, sides)), "an array as MNIST has them", _TORCHVISION)
        for sides in range(1, 5)
    ),
    *((bytes((0x80, version)), "a pickle", _TORCHVISION) for version in range(2, 6)),
)


def check_no_other_file(path: Path) -> None:
    """Raise InputError where what should be a task file or a source is known to be something else.

    Nothing is said of what is not there, and of what begins as none of these.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(16)
    except OSError:
        return
    for start, kind, what_to_do in _KINDS:
        if beginning.startswith(start):
            is_arrays = path.suffix.lower() == _NPZ
            raise InputError(
                f"expected a task file, or images as a folder, a list or shards, found {path}, "
                f"which is {'an archive of NumPy arrays' if is_arrays else kind}; "
                f"{_AS_FILES if is_arrays else what_to_do}",
                path=str(path),
            )
