"""``python -m tests.nets.training.killed DIR``: the training of test_train's SHORT, for it to kill."""

import sys
from pathlib import Path

from lykeion.nets.training import train

from .test_train import SHORT, make
from .tiny import load_tiny

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    train(make(SHORT.dropout), load_tiny(directory), SHORT, directory / "run", quiet=True)
