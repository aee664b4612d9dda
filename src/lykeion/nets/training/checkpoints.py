"""The state of a training in one file, replaced atomically, so that a killed run resumes from its last epoch.

Files are npz archives of plain arrays; nothing in them is ever unpickled.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core import fitting, json_value, read_bounded, write_atomically, writing
from lykeion.nets.architecture import Architecture
from lykeion.nets.named_networks import find

from .errors import TrainingError
from .sources.npz import NpzError, read_npz

ARCHITECTURE, WEIGHTS, CLASSES = "architecture.json", "weights.npz", "classes.json"
"""Files of a run directory."""
_STATE = "state"
_MAX_CLASSES_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """``values`` are those of all variables in their order; ``history`` has one row per epoch."""

    step: int
    history: tuple[Mapping[str, Any], ...]
    values: tuple[np.ndarray, ...]

    def write(self, path: Path) -> None:
        state = json.dumps({"step": self.step, "history": self.history}, allow_nan=False)
        arrays = {f"{place:05}": value for place, value in enumerate(self.values)}
        write_arrays(path, {_STATE: np.frombuffer(state.encode(), np.uint8), **arrays})

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """Raises TrainingError."""
        arrays = read_arrays(path)
        try:
            state = json.loads(arrays.pop(_STATE).tobytes())
            return cls(int(state["step"]), tuple(state["history"]), tuple(arrays[name] for name in sorted(arrays)))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise TrainingError(f"{path}: not a checkpoint; delete it to start over") from None


def write_file(path: Path, content: bytes) -> None:
    """Atomically. Raises TrainingError."""
    with writing(path, TrainingError):
        write_atomically(path, content)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """An npz file, atomically. Raises TrainingError."""
    file = io.BytesIO()
    np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    write_file(path, file.getvalue())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file. Raises TrainingError."""
    try:
        arrays = read_npz(path)
    except NpzError as error:
        raise TrainingError(f"{path}: cannot be read ({error})") from None
    for name, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise TrainingError(f"{path}: {name} has {array.dtype}, not numbers")
    return arrays


def load_network(run: Path) -> tuple[Architecture, dict[str, np.ndarray]]:
    """Architecture and weights of a run directory. Raises TrainingError, ArchitectureError."""
    file = run / ARCHITECTURE
    if not file.is_file():
        raise TrainingError(f"{file}: no such file; is {run} a finished training?")
    return find(str(file)), read_arrays(run / WEIGHTS)


def read_classes(run: Path) -> tuple[str, ...]:
    """The names of a run's classes; empty if the directory names none. Raises TrainingError."""
    file = run / CLASSES
    if not file.is_file():
        return ()
    written = read_bounded(file, TrainingError, "list of classes", limit=_MAX_CLASSES_BYTES)
    with fitting(TrainingError, "list of classes", where=f"{file}: "):
        return tuple(map(str, json_value(written, TrainingError, "list of classes", where=f"{file}: ")))
