"""The encoder, and the features that it keeps in the store."""
