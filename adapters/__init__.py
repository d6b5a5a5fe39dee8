"""Learning and inference: methods, the records they leave, and the adapter that scores images.

A plain library on tensors and records, what is learnt and what is kept.

No cluster, no network, no clock, no environment: everything a function needs is an argument.
"""
