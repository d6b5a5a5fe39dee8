"""The proof of the verbs: `make prove-verbs`.

Everything that people can do, in any order, twenty thousand times, over two stores with two
adapters each: every answer and every refusal is what a small model of the documents says. In the
end of each sequence everything verifies, what can be served answers to the bit what it did when it
was published, and not a byte is left of what was purged.
"""

import sys
import time

from benchmarks.table import Row, report
from tests.support.conformance.verbs_asked import MET, REFUSED
from tests.support.conformance.verbs_machine import VerbsMachine
from tests.support.drivers.machines import COMMANDS, proof

ASKED = 20_000


def main(commands: int = ASKED) -> int:
    """Run the machine, print how often each verb was asked, and return 0 when all holds."""
    started = time.monotonic()
    head, *_ = proof(VerbsMachine, MET, commands=commands, name="verbs")
    verbs = sorted(name for name in MET.counts if name != COMMANDS and REFUSED not in name)
    asked = (Row(figure=verb, value=_told(verb)) for verb in verbs)
    taken = Row(figure="verbs", value=time.monotonic() - started, unit="s")
    return report("prove-verbs", [head, *asked, taken])


def _told(verb: str) -> str:
    return f"{MET.counts[verb]:,}, {MET.counts[f'{verb}{REFUSED}']:,} refused"


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ASKED))
