"""Lasting verbs over HTTP: what may take minutes, with its progress, in nobody's way."""
