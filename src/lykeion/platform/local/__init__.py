"""This machine as the platform: a supervisor of processes, and the API through which it is asked."""
