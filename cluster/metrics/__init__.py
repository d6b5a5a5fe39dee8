"""Metrics of the system: counted in every process, told to Ray, read from all of its nodes."""
