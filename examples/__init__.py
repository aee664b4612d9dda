"""Small programs, run from the root of a clone."""
