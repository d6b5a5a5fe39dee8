"""Process meter: the meter of a process of a role, or of a replica, with what is measured in each.

It is there before the store is opened: credentials that are not given keep a store from opening.
"""

from functools import partial

from cluster.metrics.ray_tally import RayTally, ray_meter, replica_label
from cluster.stores.credentials.shared import measure


def process_meter() -> RayTally:
    """Return the meter of this process, which has joined a Ray: one for all that it does."""
    meter = ray_meter()
    meter.before_reading("credentials", partial(measure, meter, replica_label()))
    return meter
