"""Layers: files as entries, written to tars that are the same on any machine, and read again as untrusted input."""
