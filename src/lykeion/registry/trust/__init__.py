"""Which models may be used: signatures, the policy that requires them, and integrity checks."""
