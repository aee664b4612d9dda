"""What devices say and are told, as it is kept: events, logs, versions; written once however often it is sent."""
