"""Downloads of a device: resumed where they ended, within a bandwidth, and deltas made into whole files."""
