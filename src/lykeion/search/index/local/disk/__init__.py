"""The files of a local index and the lock on them."""
