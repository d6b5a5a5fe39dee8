"""Class entry: what a record says of one class. Importing it does not import torch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassEntry:
    """One class of a task.

    Attributes:
        class_id: Unique within an adapter, such as "fashion/ankle_boot".
        name: What a person reads, such as "ankle boot". Two classes may share it.
        prompt: The sentence that the text tower was given.
        merged_into: Id of the class of another task that this one counts as; None for itself.
    """

    class_id: str
    name: str
    prompt: str
    merged_into: str | None = None

    @property
    def counts_as(self) -> str:
        """Id of the class that an answer names: classes with the same one are one class."""
        return self.merged_into or self.class_id
