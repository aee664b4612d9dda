"""What is to run on this machine, kept running: plans as pure functions, and the runners that carry them out."""
