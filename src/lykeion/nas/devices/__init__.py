"""What the blocks of a space take on a device: measured, kept as a profile, looked up."""
