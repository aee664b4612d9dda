"""One kind per file: from a resource and its children to the desired state, without side effects."""
