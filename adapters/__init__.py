"""What is learnt and kept: a plain library on tensors and records.

No cluster, no network, no clock, no environment: everything a function needs is an argument.
"""
