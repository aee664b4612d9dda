"""Searches and comparisons of searches, each run in its own directory."""
