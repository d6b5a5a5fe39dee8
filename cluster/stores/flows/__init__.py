"""Flows: requests that are given up when the other side is silent for too long."""
