"""This machine as the platform: a supervisor of processes, and the API for clients."""
