"""Searches and comparisons of searches as they are asked for, in directories of their own."""
