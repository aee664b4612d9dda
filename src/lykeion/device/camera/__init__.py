"""Frames of a camera or a video, of which only the newest is looked at."""
