"""Models into a store, out of it, and from one to another; and the cache of blobs on this machine."""
