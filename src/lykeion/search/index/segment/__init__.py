"""Segments, the immutable files that vectors are searched in, and the native kernel that searches them."""
