"""``python -m tests.nets.training.killed DIR RUN``: a training for test_train to kill."""

import sys
from pathlib import Path

from lykeion.nets.keras_model import build
from lykeion.nets.training import Recipe, train

from .tiny import ARCHITECTURE, load_tiny

if __name__ == "__main__":
    directory = Path(sys.argv[1])
    recipe = Recipe(epochs=40, batch=40, flip=True, ema=0.9, deterministic=True)
    train(build(ARCHITECTURE, dropout=0.1), load_tiny(directory), recipe, directory / sys.argv[2], quiet=True)
