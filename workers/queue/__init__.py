"""The queue: a pure state machine, and what of it is stored."""
