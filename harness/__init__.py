"""Benchmark harness: the papers' protocol on any image sets, its results and its report."""
