"""An index in a directory: LocalIndex, its files (``disk``) and its state in memory (``memory``)."""
