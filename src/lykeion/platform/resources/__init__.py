"""The kinds, one per file. Users write all but ``work``, which the others run as."""
