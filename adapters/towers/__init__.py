"""The towers of a CLIP as methods see them."""
