"""Search spaces, and what their networks take slot by slot."""
