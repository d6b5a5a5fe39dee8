"""What a continual-learning method is, and what passes in and out of one."""
