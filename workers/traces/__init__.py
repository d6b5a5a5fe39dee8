"""Traces: what was done for one submission or one request, in all processes, as spans.

Whoever works opens spans and does not know who reads them; where nobody does, that costs nothing.
"""
