"""Files that a list names: as paths, or as lists have them that were made elsewhere.

train/000bec.jpg    a path from the list
000bec.jpg          from a folder beside the list, as `train`, which all of its paths begin in
000bec              without an ending, wherever the one image is that is called so
"""

from pathlib import PurePosixPath

from adapters.errors import SettingsError
from workers.sources.columns import shown_cell
from workers.sources.places.appearance import is_image
from workers.sources.places.place import EntryKind, Place
from workers.sources.places.survey import MOST_SEEN


class ListedFiles:
    """Finds the files of images that a list names.

    Args:
        place: Where the list is; the images are beside it, or in folders there.
    """

    # Owns: where the paths begin, known with the first of them; the files there, looked through
    # when the first name without an ending is asked for.

    def __init__(self, place: Place) -> None:
        self._place = place
        self._base: str | None = None
        self._known: dict[str, list[str]] | None = None
        self._found, self._missing = 0, ""

    def file(self, path: str) -> tuple[str, str]:
        """Return the file that a path means, and what is wrong with it where it may be several.

        Args:
            path: As the list has it; returned as it is where nothing is found.
        """
        if path.startswith(("/", "../")):
            return path, ""
        if _has_ending(path):
            return self._begun(path), ""
        found = self._files().get(path, [])
        if len(found) == 1:
            self._found += 1
            return found[0], ""
        if not found:
            self._missing = self._missing or path
            return path, ""
        return path, (
            f"expected one image called {shown_cell(path)} with an ending, beside the list or in a "
            f"folder there, found {found[0]} and {found[1]}; write which is meant"
        )

    def check(self, origin: str) -> None:
        """Raise SettingsError where the names that a list has are those of no files at all."""
        if self._missing and not self._found:
            raise SettingsError(
                f"expected paths of images in {origin}, found names without an ending, as "
                f"{shown_cell(self._missing)}, and no image called so beside the list or in a "
                "folder there; put the list into the folder that holds the images, or write where "
                f"they are, as in {shown_cell(f'train/{self._missing}.jpg')}"
            )

    def _begun(self, path: str) -> str:
        if self._base is None:
            self._base = base_of(self._place, path)
        return f"{self._base}{path}"

    def _files(self) -> dict[str, list[str]]:
        """Return the images by their names without an ending, with their folders and without.

        A file that has no ending goes before those that have one.
        """
        if self._known is None:
            self._known, exact = {}, dict[str, list[str]]()
            for count, entry in enumerate(self._place.entries()):
                path = PurePosixPath(entry.name)
                if count > MOST_SEEN:
                    break
                if entry.kind is EntryKind.FILE and not path.suffix:
                    exact[entry.name] = [entry.name]
                elif entry.kind is EntryKind.FILE and is_image(entry.name):
                    whole = path.with_suffix("")
                    for name in dict.fromkeys((str(whole), whole.name)):
                        self._known.setdefault(name, []).append(entry.name)
            self._known |= exact
        return self._known


def _has_ending(path: str) -> bool:
    """Return whether a path has a suffix, as `PurePosixPath` says, which takes longer."""
    name = path.rstrip("/").rpartition("/")[2]
    return 0 < name.rfind(".") < len(name) - 1


def base_of(place: Place, first: str) -> str:
    """Return the folder that paths begin in: the list's own, or the one there that has the first.

    Args:
        place: Where the list is.
        first: The first path in it.
    """
    if not first or place.has(first):
        return ""
    folders = sorted(each.name for each in place.directly() if each.kind is EntryKind.FOLDER)
    return next((f"{each}/" for each in folders if place.has(f"{each}/{first}")), "")
