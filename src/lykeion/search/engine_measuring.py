"""Finding an embedder's fastest engine in another process, while this one goes on.

That is ``python -m`` this module, with the model's path and the precision.
"""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lykeion.core import LykeionError
from lykeion.engines import read_model
from lykeion.vision import ModelCard

from .embedder_engine import AUTO, EmbedPrecision, EngineWish


def measure_elsewhere(path: Path, precision: EmbedPrecision) -> None:
    """At low priority; what is found is remembered, and nothing if it fails."""
    command = [sys.executable, "-P", "-m", __name__, str(path), precision]
    nothing = subprocess.DEVNULL
    subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, check=False)


def main(path: Path, precision: EmbedPrecision) -> None:
    with suppress(OSError):
        os.nice(10)
    EngineWish(AUTO, precision).find(read_model(path), str(path), ModelCard.for_model(path))


if __name__ == "__main__":
    with suppress(LykeionError):
        main(Path(sys.argv[1]), "fast" if sys.argv[2] == "fast" else "exact")
