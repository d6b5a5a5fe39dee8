"""Lasting verbs over HTTP: what may take minutes, with its progress, and without being in the way."""
