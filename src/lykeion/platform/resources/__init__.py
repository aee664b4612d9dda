"""The kinds, one per file. Users write all but work, replica groups, routes and volumes, which the others run as."""
