"""Decisions that several controllers share: pure functions, one per file."""
