"""Runs a program of examples/training whose workers are killed, once each, before a step.

python -m tests.e2e.dying_worker PROGRAM STEP WORKERS OPTIONS...: WORKERS are numbers with commas between. A file in
$DIED tells that a worker has been killed. The options are the program's own.
"""

import os
import runpy
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from examples.training import photos


def main(program: str, step: int, workers: str, *options: str) -> None:
    worker = os.environ.get("RANK", "0")
    died = Path(os.environ["DIED"]) / worker
    batches = photos.batches

    def batches_until_the_end(*words: Any, **named: Any) -> Iterator[photos.Batch]:
        for batch in batches(*words, **named):
            if batch.step == step and worker in workers.split(",") and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    photos.batches = batches_until_the_end
    if program == "keras_on_jax":
        sys.modules["tensorflow"] = None  # type: ignore[assignment]  # Keras would import it where it is installed
    sys.argv[1:] = options
    runpy.run_module(f"examples.training.{program}", run_name="__main__")


main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
