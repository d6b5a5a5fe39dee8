"""Real files of every format, and what comes of each."""
