"""Experiments: which variant is better, decided by what units do, with results that may be looked at all the time."""
