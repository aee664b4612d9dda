"""A device of a fleet: its identity, its messages with the server, and its reports."""
