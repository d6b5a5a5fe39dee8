"""The encoder, and the features that it leaves in the store."""
