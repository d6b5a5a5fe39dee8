"""The table of methods for benchmarks only: no queue learns them and no version serves them.

The probes keep no record per task but one state that every task changes, or the images of all
tasks; Primal-RAIL keeps a matrix of 900 MB.
"""

from collections.abc import Mapping

from adapters.contract.method import Method
from adapters.methods.probes import Joint, Probe, ProbeWithReplay
from adapters.methods.rail.primal import PrimalRail

HARNESS_METHODS: Mapping[str, Method] = {
    method.name: method for method in (Joint(), PrimalRail(), Probe(), ProbeWithReplay())
}
