"""Container images for training and serving, assembled reproducibly, no daemon."""
