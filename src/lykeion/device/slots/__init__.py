"""The models kept on a device: which one runs, which one comes next, and their files."""
