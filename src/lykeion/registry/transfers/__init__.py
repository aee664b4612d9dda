"""Models into a store, out of it, and between stores; and the local blob cache."""
