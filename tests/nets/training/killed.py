"""``python -m tests.nets.training.killed DIR``: the training of test_train's SHORT, killed in its second epoch."""

import sys
from pathlib import Path

from lykeion.core import SILENT
from lykeion.nets.training import TrainingOptions, train

from .test_train import SHORT, Interrupt, make
from .tiny import load_tiny

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    killer = Interrupt(7, kill=True)
    train(
        make(SHORT.dropout),
        load_tiny(directory),
        SHORT,
        directory / "run",
        TrainingOptions(callbacks=[killer]),
        reporter=SILENT,
    )
