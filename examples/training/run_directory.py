"""The run directory of a training: its checkpoint, its metrics and its model.

It outlives the attempts of the training. One worker alone uses it, and tells the others what it has read.
"""

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lykeion.core import Conflict, Refused, write_atomically


class RunDirectory:
    """The directory in ``$LYKEION_RUN``, for a training with these settings. Raises Refused if there is none."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        if "LYKEION_RUN" not in os.environ:
            raise Refused("LYKEION_RUN is not set: set it to a directory for the checkpoint and the model")
        self.path = Path(os.environ["LYKEION_RUN"])
        self.path.mkdir(parents=True, exist_ok=True)
        self._checkpoint, self._metrics = self.path / "checkpoint.npz", self.path / "metrics.jsonl"
        self._settings = json.dumps(settings, sort_keys=True)

    def load(self) -> tuple[int, list[np.ndarray]] | None:
        """The step and the arrays of the last checkpoint; later metrics are dropped. Raises Conflict."""
        metrics_bytes, found = 0, None
        if self._checkpoint.exists():
            with np.load(self._checkpoint) as saved:
                step, settings, metrics_bytes, *arrays = (saved[name] for name in saved.files)
            if str(settings) != self._settings:
                raise Conflict(f"{self.path} belongs to a training with other settings: {settings}")
            found = int(step), arrays
        if self._metrics.exists():
            os.truncate(self._metrics, min(int(metrics_bytes), self._metrics.stat().st_size))
        return found

    def save(self, step: int, arrays: Sequence[np.ndarray]) -> None:
        """Replace the checkpoint: a reader finds the old one or the new one, also after a crash."""
        packed = io.BytesIO()
        np.savez(packed, np.array(step), np.array(self._settings), np.array(self._metrics.stat().st_size), *arrays)
        write_atomically(self._checkpoint, packed.getvalue())

    def record(self, **values: float) -> None:
        """Append a line to ``metrics.jsonl``."""
        with self._metrics.open("a") as file:
            file.write(json.dumps(values) + "\n")

    def model(self, **metrics: float) -> Path:
        """The directory of the model to publish, with the metrics that ``lykeion models push`` reads."""
        directory = self.path / "model"
        directory.mkdir(exist_ok=True)
        write_atomically(directory / "lykeion.json", json.dumps({"schema": 1, "metrics": metrics}).encode())
        return directory
