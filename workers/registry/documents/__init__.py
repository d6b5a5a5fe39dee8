"""The documents of an adapter: refs, manifests, history entries and the like, as values."""
