"""The service of one replica, and its metrics."""
