"""Object stores by URL, and the one on an S3 server."""
