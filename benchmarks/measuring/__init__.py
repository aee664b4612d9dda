"""What the benchmarks share: the machine they run on, vectors with exact answers, processes of their own, tables."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the data set of examples/
