"""The wire format between client and service: documents and headers."""
