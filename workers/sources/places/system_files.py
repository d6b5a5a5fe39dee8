"""Names of files and folders that operating systems and programs leave beside pictures."""

import re

_NAMES = frozenset(
    {
        # Windows
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
        *("system volume information", "zbthumbnail.info"),
        # macOS, and what it leaves on other systems' disks and in archives
        *("__macosx", ".ds_store", ".localized", ".apdisk", ".trashes", ".trash", ".fseventsd"),
        *(".spotlight-v100", ".temporaryitems", ".documentrevisions-v100", ".volumeicon.icns"),
        *(".appledouble", ".appledb", ".appledesktop", "network trash folder", "icon\r"),
        # Linux, and network storage
        *("lost+found", ".directory", ".thumbnails", ".xvpics", ".snapshot", ".nomedia"),
        *("@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", ".@__thumb"),
        # programs
        *("picasa.ini", ".picasa.ini", ".picasaoriginals", ".dropbox", ".dropbox.cache"),
        *(".git", ".svn", ".hg", ".dvc", "__pycache__", ".ipynb_checkpoints"),
    }
)
_PATTERN = re.compile(
    r"\._.*"  # what macOS keeps of a file where the file system has no place for it
    r"|\.trash-\d+|found\.\d{3}|\.nfs[0-9a-f]+|\.fuse_hidden.*"
    r"|.*:zone\.identifier"  # where a file was downloaded from, as Windows writes it
    r"|~\$.*",  # what an office program keeps while a file is open
    re.DOTALL,
)


def is_system_file(name: str) -> bool:
    """Return whether a file or folder of this name is left by a system or a program."""
    lower = name.lower()
    return lower in _NAMES or _PATTERN.fullmatch(lower) is not None
