"""A run directory: settings, progress and results of a training.

``run.json`` (settings, command, versions), ``last.npz`` (the checkpoint), ``metrics.jsonl`` (a row per
epoch), ``curves.png``. A directory belongs to one set of settings.
"""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lykeion.core import claim_run
from lykeion.core.pictures import new_figure, save_figure

from .checkpoints import Checkpoint, write_file
from .errors import TrainingError

SCHEMA = "lykeion.training-run"
VERSION = 1
_PACKAGES = ("lykeion", "keras", "tensorflow-cpu", "tensorflow", "jax", "numpy")


class Run:
    """The run directory at ``path``. Raises TrainingError if it belongs to other settings or cannot be written."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        about = {
            "command": sys.argv,
            "versions": {"python": platform.python_version(), **_versions()},
            "machine": platform.machine(),
        }
        request = {"schema": SCHEMA, "version": VERSION, "settings": settings}
        claim_run(path / "run.json", "training", request, TrainingError, about=about)

    @property
    def last(self) -> Path:
        return self.path / "last.npz"

    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint of an earlier process. Raises TrainingError."""
        return Checkpoint.read(self.last) if self.last.exists() else None

    def keep(self, checkpoint: Checkpoint) -> None:
        """Raises TrainingError."""
        checkpoint.write(self.last)
        self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in checkpoint.history).encode())

    def write(self, name: str, data: bytes) -> None:
        """Raises TrainingError."""
        write_file(self.path / name, data)


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path, title: str) -> None:
    """Loss and accuracy over epochs, of training and validation, as a PNG. Raises PictureError."""
    epochs = [row["epoch"] for row in history]
    figure = new_figure((9, 3.6), extra="train")
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            axes.plot(epochs, [row.get(key) for row in history], marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.grid(alpha=0.3)
        axes.legend()
    save_figure(figure, path)


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
