"""Layers: files as entries, written to reproducible tars, and read as untrusted input."""
