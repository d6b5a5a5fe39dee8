"""The command `nacre`, and `python -m cluster.cli`: a probe at once, all else with its imports."""

import atexit
import gc
import sys

COLLECT_EVERY = 50_000
"""Objects more than before at which garbage is looked for: a command makes many, few of them in
cycles, and with the 700 of the interpreter a sixth of `nacre status` was spent looking."""

INTERRUPTED_AT_ONCE = 130
"""The exit code of a command that is interrupted while it is loaded; as later on."""


def main() -> None:
    """Run the command line, and end this process with its exit code."""
    words = sys.argv[1:]
    if words == ["ready"] or (words[:2] == ["ready", "--url"] and len(words) == 3):
        from cluster.ready import main as ready

        sys.exit(ready(words[2:]))
    gc.set_threshold(COLLECT_EVERY)
    atexit.register(gc.freeze)  # the interpreter that ends looks through all there is once more
    try:
        from cluster.cli.main import main as whole
    except KeyboardInterrupt:  # whoever has second thoughts at once sees no trace either
        sys.exit(INTERRUPTED_AT_ONCE)
    whole()


if __name__ == "__main__":
    main()
