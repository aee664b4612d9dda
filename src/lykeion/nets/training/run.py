"""A run directory: what a training was asked for, how far it is, and what came of it.

``run.json`` (settings, command, versions), ``last.npz`` (the checkpoint), ``metrics.jsonl`` (a row an
epoch), ``curves.png``. A directory belongs to one set of settings: to go on is automatic, to go on otherwise refused.
"""

import json
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lykeion.core import first_line
from lykeion.core.pictures import new_figure, save_figure

from .checkpoints import Checkpoint, write_file
from .errors import TrainingError

SCHEMA = "lykeion.training-run"
VERSION = 1
MAX_BYTES = 2**24
_PACKAGES = ("lykeion", "keras", "tensorflow-cpu", "tensorflow", "jax", "numpy")


class Run:
    """The run directory at ``path``. Raises TrainingError where it is another's or cannot be written."""

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        settings = json.loads(json.dumps(settings))
        file = path / "run.json"
        if file.exists():
            _check_same(path, _read(file), settings)
            return
        started = {
            "schema": SCHEMA,
            "version": VERSION,
            "settings": settings,
            "command": sys.argv,
            "versions": {"python": platform.python_version(), **_versions()},
            "machine": platform.machine(),
        }
        self.write("run.json", _json(started))

    @property
    def last(self) -> Path:
        return self.path / "last.npz"

    def checkpoint(self) -> Checkpoint | None:
        """Where an earlier process stopped. Raises TrainingError."""
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


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _read(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as opened:
            run = json.loads(opened.read(MAX_BYTES))
        if (run["schema"], run["version"]) != (SCHEMA, VERSION):
            raise ValueError(f"schema {run['schema']!r} of version {run['version']!r}")
        return run["settings"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise TrainingError(f"{file}: not a run of this release ({first_line(error)})") from None


def _check_same(path: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    before, now = dict(_flat(theirs)), dict(_flat(ours))
    names = [name for name in before | now if before.get(name) != now.get(name)]
    if names:
        name = names[0]
        raise TrainingError(
            f"{path}: was made with {name} {_short(before.get(name))}, not {_short(now.get(name))}"
            f"{f' (and {len(names) - 1} other settings)' if names[1:] else ''}; "
            "give the same settings to go on, or another --run"
        )


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
