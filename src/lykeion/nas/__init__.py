"""Architecture search: a space of networks, what they cost on a device, and strategies that search it."""
