"""What the console knows of the system, read once for all who look."""
