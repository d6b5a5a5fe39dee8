"""Primal-RAIL and Dual-RAIL (arXiv 2406.18868)."""
