"""Other formats: files that no class here reads, told by how they begin, and what to do then."""

from workers.images.files.raw import DEVELOP, RAW

_BOX = b"\0\0\0\x0c"
VIDEO = "a video"
JSON = "JSON"
ANSWER = "what a server answered in place of a picture"
_CONVERT = "convert it to PNG or JPEG"
_FRAMES = "save its frames as JPEG or PNG"
_AGAIN = "fetch the picture again"
_NOT_READ: tuple[tuple[bytes, str, str], ...] = (
    # how it begins, what it is, what to do
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the picture with `git lfs pull`"),
    (b"%PDF", "a PDF document", "export its pages as PNG or JPEG"),
    (b"%!PS", "a PostScript file", _CONVERT),
    (b"\xc5\xd0\xd3\xc6", "an EPS file", _CONVERT),
    (b"8BPS", "a Photoshop file", _CONVERT),
    (b"gimp xcf", "a GIMP file", _CONVERT),
    (b"\xff\x0a", "JPEG XL", _CONVERT),
    (_BOX + b"JXL \r\n\x87\n", "JPEG XL", _CONVERT),
    (b"II\xbc", "JPEG XR", _CONVERT),
    (b"\0\0\1\0", "an icon (ICO)", _CONVERT),
    (b"\0\0\2\0", "a cursor (CUR)", _CONVERT),
    (b"icns", "an icon (ICNS)", _CONVERT),
    (b"DDS ", "a texture (DDS)", _CONVERT),
    (b"qoif", "QOI", _CONVERT),
    (b"P7\n", "PAM", _CONVERT),
    (b"MM\0+", "a BigTIFF in big-endian order", "save it in the other order, or as PNG"),
    (b"PF\n", "a PFM in color", "its range is not known; " + _CONVERT),
    (b"v/1\1", "OpenEXR", "its range is not known; " + _CONVERT),
    (b"#?R", "Radiance HDR", "its range is not known; " + _CONVERT),
    (b"SIMPLE  =", "FITS", "its range is not known; " + _CONVERT),
    (b"\x89HDF", "HDF5", _CONVERT),
    (b"\x93NUMPY", "a NumPy array", "save it as PNG"),
    (b"FUJIFILMCCD-RAW", RAW, DEVELOP),
    (b"IIRO", RAW, DEVELOP),
    (b"MMOR", RAW, DEVELOP),
    (b"II\x1a\0\0\0HEAPCCDR", RAW, DEVELOP),
    (b"\0MRM", RAW, DEVELOP),
    (b"FOVb", RAW, DEVELOP),
    (b"IIRS", RAW, DEVELOP),
    (b"IIU\0", RAW, DEVELOP),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile", _CONVERT),
    (b"\x1aE\xdf\xa3", VIDEO, _FRAMES),
    (b"\0\0\1\xba", VIDEO, _FRAMES),
    (b"\0\0\1\xb3", VIDEO, _FRAMES),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", VIDEO, _FRAMES),
    (b"FLV\1", VIDEO, _FRAMES),
    (b"OggS", VIDEO, _FRAMES),
    (b"\0\5\x16\7", "a resource fork of macOS", "take the file without ._ before its name"),
    (b"\0\5\x16\0", "a resource fork of macOS", "take the file without ._ before its name"),
    (b"\xd0\xcf\x11\xe0", "a document of an office program", "export its pictures"),
    (b"PK\3\4", "a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"Rar!", "a RAR archive", "unpack it"),
)


def what_is_not_read(content: bytes) -> tuple[str, str] | None:
    """Return what a file is that no class here reads, and what to do; None where nobody knows."""
    for start, name, remedy in _NOT_READ:
        if content.startswith(start):
            return name, remedy
    if text := _text_that_is_not_read(content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()):
        return text
    if content[128:132] == b"DICM":
        return "DICOM", "export it as PNG"
    if content[-18:].startswith(b"TRUEVISION-XFILE"):
        return "TGA", _CONVERT
    if content[4:8] == b"ftyp" and content[8:12] == b"crx ":
        return RAW, DEVELOP
    return (VIDEO, _FRAMES) if _is_video(content) else None


def _text_that_is_not_read(head: bytes) -> tuple[str, str] | None:
    """See `what_is_not_read`; `head` is in lower case, without spaces before it."""
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page", "fetch the picture itself"
    if head.startswith(b"<error") or (head.startswith(b"<?xml") and b"<error" in head):
        return ANSWER, _AGAIN
    if head.startswith((b"<svg", b"<?xml", b"<!doctype svg")):
        return "SVG or other XML", _CONVERT
    return (JSON, _AGAIN) if head.startswith((b'{"', b"[{")) else None


def _is_video(content: bytes) -> bool:
    """Return whether a file is a video whose first bytes are not always the same."""
    if content[:4] == b"RIFF":
        return content[8:12] == b"AVI "
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"pnot")  # of QuickTime without a brand
    if content[4:8] in boxes:
        return True
    # A transport stream is packets of 188 bytes, of cameras with four bytes before each.
    return len(content) >= 400 and any(
        content[first] == content[first + size] == content[first + 2 * size] == ord("G")
        for first, size in ((0, 188), (4, 192))
        if len(content) > first + 2 * size
    )
