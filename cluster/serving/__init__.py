"""What one replica does for a request, and what it counts."""
