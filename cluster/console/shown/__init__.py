"""Showing things on pages: looks, charts, figures, HTML."""
