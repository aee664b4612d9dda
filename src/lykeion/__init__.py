"""Lykeion: photo search and on-device vision.

Each room is a subpackage that shows what it offers in its ``__init__``; nothing heavy is imported here.
"""

__version__ = "0.1.0"
