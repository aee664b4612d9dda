"""From an image's description to its layers, manifest, bill of materials and provenance; start with ``assembly``."""
