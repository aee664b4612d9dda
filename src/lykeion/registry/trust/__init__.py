"""Which models may be used: signatures, the policy that asks for them, and whether contents are intact."""
