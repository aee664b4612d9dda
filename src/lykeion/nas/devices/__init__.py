"""The latency of a space's blocks on a device: measured, kept as a profile, looked up."""
