"""The roles as plain classes: encoder, trainer, mixtures, registry, coordinator, predictor.

They know messages, not topology: the same classes run in one process or on a cluster.
"""
