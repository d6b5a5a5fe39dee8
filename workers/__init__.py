"""The workers: every role as a plain class, and what they keep in the object store.

They know messages, not topology: the same classes run in one process or on a cluster.
"""
