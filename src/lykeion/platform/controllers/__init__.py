"""One kind a file: from a resource and its children to what should be, without any effect."""
