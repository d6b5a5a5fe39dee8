"""Terminals, pipes and machines as commands talk to them: tables, bars, errors, completion."""
