"""Decisions that several controllers share: one a file, pure."""
