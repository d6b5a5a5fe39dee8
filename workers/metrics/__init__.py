"""Metrics: what is counted and measured of the work, in families with names and labels.

Whoever works counts into a meter and does not know who reads it.
"""

from workers.metrics.families import Family, Kind
from workers.metrics.meter import UNREAD, Meter
from workers.metrics.tally import Point, Tally

__all__ = ["UNREAD", "Family", "Kind", "Meter", "Point", "Tally"]
