"""Drafts of tasks: a bare source in the place of a task file, wherever it lies."""

from pathlib import Path
from typing import TYPE_CHECKING

from cluster.stores.open import open_store

if TYPE_CHECKING:
    from workers.intake.drafting import Draft


def drafted(named: Path | str, *, folder: Path | None = None) -> "Draft | Path":
    """Return the draft of what is to be submitted where it is a bare source, else the task file.

    Args:
        named: A source, a task file, or a folder that holds one.
        folder: Where the task file of a draft would lie; the working folder where None.

    Raises:
        InputError: the source cannot be read, or shows no classes; or it is a file of another kind.
        UnavailableError: an object store cannot be reached.
    """
    # Loaded when it is needed, what looks at images needs Pillow and NumPy.
    from workers.intake.drafting import draft_task, is_source, task_file_of
    from workers.intake.other_files import check_no_other_file

    if is_source(named):
        return draft_task(str(named), folder=folder, opener=open_store)
    file = task_file_of(named)
    check_no_other_file(file)
    return file
