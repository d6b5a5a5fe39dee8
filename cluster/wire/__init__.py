"""What client and service say to each other: documents and headers."""
