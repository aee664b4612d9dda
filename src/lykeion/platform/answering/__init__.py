"""Answers to lookups of controllers, of whatever place the platform runs in."""
