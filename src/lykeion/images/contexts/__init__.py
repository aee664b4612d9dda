"""Where images are built from: a directory, or a commit of a Git repository."""
