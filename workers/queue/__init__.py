"""The queue of submissions: a pure state machine, and what of it is stored."""
