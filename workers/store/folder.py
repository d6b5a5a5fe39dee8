"""The folder of a file store: made, or found to be there with what it has held.

A folder that has gone away, a file in its place, and one that was emptied are no stores without
objects. What was mounted there may come back: whoever runs waits for that (UnavailableError), and
begins nothing anew. Only who opens a store and is not told that it must exist makes one, and only
by writing: a look at a folder whose disk is away must not leave a store in its place. A file there
is final then (SettingsError), because a person must name another folder.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from adapters.errors import SettingsError, UnavailableError

_held: set[Path] = set()  # folders in which this process has seen objects; each call is atomic


class StoreFolder:
    """Knows whether a store's folder is there.

    Args:
        root: The folder.
        inner: Names of the folders in it that make it a store; they begin with a dot.
    """

    def __init__(self, root: Path, *, inner: Sequence[str]) -> None:
        self._root = root
        self._inner = [root / name for name in inner]
        self._may_make = False

    def open(self, *, existing: bool) -> None:
        """Find the folder there, or that it can be made; it must be there where it was before.

        Raises:
            SettingsError: There can be none.
            UnavailableError: It must be there and is not, or is empty and was not.
        """
        self._may_make = not (existing or self._root in _held)
        self.check_there()
        try:
            if not self._root.is_dir() and self._root.exists():
                raise self._impossible("a file is there")
            self._root.lstat()
        except FileNotFoundError:
            return  # it is made when something is written
        except (OSError, ValueError) as error:  # the latter of names that no folder can have
            raise self._impossible(_reason(error)) from error

    def prepare(self) -> None:
        """Make the folder before something is written, or find it there.

        Raises:
            SettingsError: It cannot be made.
            UnavailableError: It must be there and is not, or is empty and was not.
        """
        self.check_there()
        if self.is_there:
            return
        try:
            for folder in self._inner:
                folder.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise self._impossible(_reason(error)) from error
        self._may_make = False

    @property
    def must_be_there(self) -> bool:
        """Whether it was found or made, so that whoever else is told of it must find it."""
        return not self._may_make or self.is_there

    @property
    def is_there(self) -> bool:
        """Whether the folder is a store, with objects or without."""
        try:
            return all(folder.is_dir() for folder in self._inner)
        except (OSError, ValueError):
            return False

    def check_there(self) -> None:
        """Raise UnavailableError where the store is gone: nobody knows then what is absent."""
        may_make = self._may_make  # before it is looked for: another thread may make it meanwhile
        if not self.is_there:
            if may_make:
                return
            raise self.gone()
        self._may_make = False
        if self._root in _held and not self._has_entries():
            raise UnavailableError(
                f"expected objects in the store {self._root}, as this process has seen, found it "
                "empty; bring back what was there or was mounted there, or start again if it is to "
                "begin with nothing",
                folder=str(self._root),
            )

    def note_held(self) -> None:
        """Note that there are objects."""
        _held.add(self._root)

    def note_deleted(self) -> None:
        """Note that an object was removed on purpose: it may have been the last one."""
        if not self._has_entries():
            _held.discard(self._root)

    def gone(self) -> UnavailableError:
        """Return the error to raise where the folder is not there."""
        in_place = self._root.is_file()
        found = "a file in its place" if in_place else "that it is gone, or what was mounted there"
        return UnavailableError(
            f"expected the folder {self._root} of the store, found {found}; bring it back",
            folder=str(self._root),
        )

    def _impossible(self, reason: str) -> SettingsError:
        return SettingsError(
            f"expected a folder that can be written at {self._root}, found none ({reason}); name "
            "another one in the store's URL",
            folder=str(self._root),
        )

    def _has_entries(self) -> bool:
        """Return whether there is anything but the store's own folders."""
        try:
            with os.scandir(self._root) as entries:
                return any(not entry.name.startswith(".") for entry in entries)
        except OSError:
            return False


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
