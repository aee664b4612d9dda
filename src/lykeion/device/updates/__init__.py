"""Updates: what is wanted, what may be fetched now, and a version taken into its slot step by step."""
