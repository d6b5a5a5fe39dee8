"""Many validation errors in one: some are shown, all are counted, and machines get every one."""

from collections.abc import Sequence

from adapters.errors import FieldValue, InputError

SHOWN = 20


def shown(problems: Sequence[str]) -> str:
    """Return the first problems, one a line, and how many more there are."""
    lines = [*problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f"and {len(problems) - SHOWN} more")
    return "".join(f"\n  {line}" for line in lines)


def raise_all(findings: Sequence[InputError]) -> None:
    """Raise what was found, as one error; return where nothing was.

    One finding is raised as it is. Several become one InputError with all their messages and
    fields.
    """
    if len(findings) == 1:
        raise findings[0]
    if findings:
        fields: dict[str, FieldValue] = {}
        problems: list[str] = []
        for finding in findings:
            fields |= finding.fields
            listed = finding.fields.get("problems", (finding.message,))
            problems += listed if isinstance(listed, tuple) else ()
        message = "\n".join(finding.message for finding in findings)
        raise InputError(message, **{**fields, "problems": tuple(problems)})
