"""The console: pages that show what is learnt and served, and on which people act."""
