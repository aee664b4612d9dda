"""What the benchmarks share: the machine they run on, vectors with exact answers, processes of their own, tables."""
