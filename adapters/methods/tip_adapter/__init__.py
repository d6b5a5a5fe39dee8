"""Tip-Adapter and Tip-Adapter-F (arXiv 2207.09519)."""
