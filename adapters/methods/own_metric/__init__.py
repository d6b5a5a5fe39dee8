"""One classifier per task in the task's own metric: nacre's own method."""
