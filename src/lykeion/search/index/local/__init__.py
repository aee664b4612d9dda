"""An index in a directory: LocalIndex, the files it keeps (``disk``) and what they are in memory (``memory``)."""
