"""Search spaces, and the cost of their networks slot by slot."""
