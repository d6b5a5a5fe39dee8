"""How commands talk to terminals, pipes and machines: tables, bars, errors, completion."""
