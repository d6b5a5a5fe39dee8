"""Taking a task in: read, check, pack, and write the submission."""
