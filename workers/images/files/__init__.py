"""Image files: formats, limits, and what pixels depend on, a module for each format."""
