"""Access: who may do what, the tokens that say so, and the log of what was asked for."""
