"""Raw pictures of cameras: told by their names, and by the directory of a TIFF, which most are.

Their first page is a preview of 160 pixels, or what the sensor saw before it became a picture. Read
as a TIFF, either would be learnt from in place of the photograph.
"""

from workers.images.files.directory import Directory, read_directory

RAW = "a raw picture of a camera"
DEVELOP = "develop it to JPEG or PNG"
RAW_EXTENSIONS = frozenset(
    f".{name}"
    for name in (
        # Adobe and phones, Canon, Nikon, Sony, Fujifilm, Olympus, Panasonic and Leica
        *("dng", "gpr", "cr2", "cr3", "crw", "nef", "nrw", "arw", "sr2", "srf", "raf", "orf"),
        *("rw2", "rwl", "raw"),
        # Pentax, Samsung, Hasselblad, Phase One, Leaf, Mamiya, Epson, Kodak, Minolta, Sigma
        *("pef", "ptx", "srw", "3fr", "fff", "iiq", "cap", "eip", "mos", "mef", "erf"),
        *("dcr", "kdc", "k25", "mrw", "x3f"),
    )
)
_SUBFILE, _WIDTH, _LENGTH, _PHOTOMETRIC, _INSIDE, _DNG = 254, 256, 257, 262, 330, 50706
_SENSOR = frozenset({32803, 34892})
"""Colors as the filter before the sensor has them, and linear ones."""


def is_raw(beginning: bytes) -> bool:
    """Return whether a TIFF is a raw picture, as far as its first bytes say so."""
    directory = read_directory(beginning)
    return directory is not None and is_raw_directory(directory)


def is_raw_directory(first: Directory) -> bool:
    """Return whether the first directory of a TIFF is that of a raw picture.

    It says that it is reduced, is of what a sensor saw, or has a larger picture inside of it, where
    other files have smaller ones.
    """
    if _DNG in first.entries or first.block[8:12] == b"CR\2\0" or first.number(_SUBFILE, 0) & 1:
        return True
    if first.number(_PHOTOMETRIC, 0) in _SENSOR:
        return True
    inside = (read_directory(first.block, start) for start in first.numbers(_INSIDE))
    return any(
        each.number(_PHOTOMETRIC, 0) in _SENSOR or _pixels(each) > _pixels(first)
        for each in inside
        if each is not None
    )


def _pixels(directory: Directory) -> int:
    return directory.number(_WIDTH, 0) * directory.number(_LENGTH, 0)
