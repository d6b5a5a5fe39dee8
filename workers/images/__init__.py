"""Image decoding and preprocessing: from the bytes of a file to the pixels an encoder reads."""
