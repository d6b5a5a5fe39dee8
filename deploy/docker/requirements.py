"""Dependencies of nacre and of some of its extras, one a line, without what builds and tests it."""

import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """Return what pyproject.toml asks for.

    Raises:
        SystemExit: an extra is unknown.
    """
    project = tomllib.loads(pyproject.read_text())["project"]
    known = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in known]
    if unknown:
        sys.exit(f"expected extras of {', '.join(known)}, found {', '.join(unknown)}")
    return [*project["dependencies"], *(line for extra in extras for line in known[extra])]


if __name__ == "__main__":
    asked = [extra.strip() for extra in sys.argv[1].split(",") if extra.strip()]
    print("\n".join(requirements(Path("pyproject.toml"), asked)))
