"""The towers of a CLIP model as methods see them."""
