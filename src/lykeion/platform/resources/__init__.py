"""What people write: one kind a file. ``work`` is not written by people: it is what the others run as."""
