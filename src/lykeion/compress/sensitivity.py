"""The loss of accuracy when a single layer is pruned or rounded, without changing other layers or retraining."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from lykeion.core import (
    CONSOLE,
    Journal,
    Reporter,
    digest_bytes,
    digest_json,
    fitting,
    read_json,
    write_atomically,
    writing,
)
from lykeion.core.pictures import new_figure, save_figure
from lykeion.nets.training import Dataset, Photos, some

from .compressed_model import CompressedModel, select
from .errors import CompressionError
from .network_files import litert_file
from .predictions import correct_litert
from .weights.masks import Structure, masks

Harm: TypeAlias = Literal["sparsity", "bits"]

SCHEMA = "lykeion.sensitivity"
VERSION = 1
MAX_BYTES = 1 << 22
LEVELS: dict[Harm, tuple[float, ...]] = {"sparsity": (0.3, 0.5, 0.6, 0.7, 0.8, 0.9), "bits": (8, 6, 4, 3)}
"""Shares of zeros, and bits of weights rounded per channel."""


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """``accuracy`` is by kind of change, layer and level, on ``photos`` validation photos; ``baseline`` is that of
    the unchanged network. ``asked`` is the digest of weights, photos and layers; scans of earlier releases have
    none."""

    network: str
    photos: int
    baseline: float
    levels: Mapping[Harm, tuple[float, ...]]
    accuracy: Mapping[Harm, Mapping[str, tuple[float, ...]]]
    asked: str = ""

    def loss(self, harm: Harm, layer: str, level: float) -> float:
        """The loss of accuracy. Raises CompressionError if it was not measured."""
        if layer not in self.accuracy[harm] or level not in self.levels[harm]:
            raise CompressionError(
                f"sensitivity: the scan of {self.network} has no {harm} {level:g} of layer {layer!r}"
            )
        return self.baseline - self.accuracy[harm][layer][self.levels[harm].index(level)]

    def most(self, harm: Harm, layer: str, loss: float) -> float:
        """The strongest level such that no level up to it costs more than ``loss``; 0 if there is none."""
        found = 0.0
        for level in self.levels[harm]:
            if self.loss(harm, layer, level) > loss:
                break
            found = level
        return found

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, "version": VERSION, **asdict(self)}

    def write(self, path: Path) -> None:
        """Raises CompressionError."""
        with writing(path, CompressionError):
            write_atomically(path, (json.dumps(self.to_json(), indent=1) + "\n").encode())

    @classmethod
    def read(cls, path: Path, network: str) -> "Sensitivity":
        """The scan of a network of that name. Raises CompressionError."""
        found = read_json(path, CompressionError, "scan", limit=MAX_BYTES)
        with fitting(CompressionError, "scan that can be used", where=f"{path}: "):
            if (found["schema"], found["version"]) != (SCHEMA, VERSION):
                raise ValueError(f"schema {found['schema']!r} of version {found['version']!r}")
            levels: dict[Harm, tuple[float, ...]] = {
                harm: tuple(map(float, found["levels"][harm])) for harm in LEVELS
            }
            accuracy: dict[Harm, dict[str, tuple[float, ...]]] = {
                harm: {str(layer): tuple(map(float, row)) for layer, row in found["accuracy"][harm].items()}
                for harm in LEVELS
            }
            if any(len(row) != len(levels[harm]) for harm in LEVELS for row in accuracy[harm].values()):
                raise ValueError("a layer has not as many accuracies as there are levels")
            shares = [
                *levels["sparsity"],
                *(each for rows in accuracy.values() for row in rows.values() for each in row),
            ]
            if not all(0 <= share <= 1 for share in (float(found["baseline"]), *shares)):
                raise ValueError("a share is not from 0 to 1")
            if found["network"] != network:
                raise ValueError(f"it is of {found['network']}, not of {network}")
            asked = str(found.get("asked", ""))
            return cls(network, int(found["photos"]), float(found["baseline"]), levels, accuracy, asked)


class _Measured:
    """Accuracies by the digest of the measurement; an interrupted scan is resumed from its journal."""

    def __init__(self, path: Path | None) -> None:
        """Raises CompressionError."""
        self._journal = path and Journal(path, CompressionError, "journal of a scan")
        with fitting(CompressionError, "journal of a scan", where=f"{path}: "):
            self._known = {str(key): float(value) for key, value in self._journal or ()}

    def of(self, key: str, measure: Callable[[], float]) -> float:
        """The accuracy from the journal, or else measured now. Raises CompressionError."""
        if key not in self._known:
            self._known[key] = measure()
            if self._journal:
                self._journal.append([key, self._known[key]])
        return self._known[key]


def scan_sensitivity(
    model: CompressedModel,
    data: Dataset,
    *,
    layers: Sequence[str] = ("*",),
    photos: int = 2000,
    output: Path | None = None,
    reporter: Reporter = CONSOLE,
) -> Sensitivity:
    """Measure every level on every named layer, with LiteRT.

    With ``output`` the scan is written there. An interrupted scan is resumed from a journal in the same directory; a
    file that contains the same scan is read, and any other file is left unchanged. Raises CompressionError,
    ModelError.
    """
    model.check_trainable()
    model = replace(model, ranges=None)
    names, seen = select(model.architecture, layers), some(data.validation, photos)
    about = {"model": digest_bytes(litert_file(model)), "data": data.digest, "fit": data.frame.fit}
    asked = digest_json({**about, "layers": names, "spread": len(seen)})
    if output is None:
        return _scan(model, data, names, seen, asked, None, reporter)
    if output.exists():
        found = Sensitivity.read(output, model.architecture.name)
        if found.asked != asked:
            raise CompressionError(f"{output}: a scan of other weights, photos or layers; give another --output")
        return found
    journal = output.with_name(f"{output.name}.part")
    found = _scan(model, data, names, seen, asked, journal, reporter)
    found.write(output)
    Journal(journal, CompressionError).remove()
    return found


def _scan(
    model: CompressedModel,
    data: Dataset,
    names: Sequence[str],
    seen: Photos,
    asked: str,
    journal: Path | None,
    reporter: Reporter,
) -> Sensitivity:
    known = _Measured(journal)

    def accuracy(changed: CompressedModel) -> float:
        file = litert_file(changed)
        measured = {"file": digest_bytes(file), "data": data.digest, "fit": data.frame.fit, "spread": len(seen)}
        return known.of(digest_json(measured), lambda: float(correct_litert(file, seen).mean()))

    found: dict[Harm, dict[str, tuple[float, ...]]] = {harm: {} for harm in LEVELS}
    total = len(names) * sum(map(len, LEVELS.values()))
    with reporter.progress("Scanning", total, unit="networks") as progress:
        for harm, levels in LEVELS.items():
            for name in names:
                row: list[float] = []
                for level in levels:
                    row.append(accuracy(harmed(model, harm, name, level)))
                    progress.advance()
                found[harm][name] = tuple(row)
    return Sensitivity(model.architecture.name, len(seen), accuracy(model), LEVELS, found, asked)


def harmed(model: CompressedModel, harm: Harm, layer: str, level: float) -> CompressedModel:
    """The model with one kernel pruned to a share of zeros, or rounded to a number of bits per channel."""
    kernel = model.kernels[layer]
    if harm == "sparsity":
        changed = kernel * masks({layer: kernel}, {layer: level}, Structure(), "layer")[layer]
    else:
        most = 2 ** (int(level) - 1) - 1
        steps = np.maximum(np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1))) / most, 1e-12)
        changed = (np.rint(kernel / steps) * steps).astype(np.float32)
    return replace(model, weights={**model.weights, f"{layer}/kernel": changed})


def draw_sensitivity(scan: Sensitivity, path: Path) -> None:
    """Points of accuracy lost by layer and level, as a PNG. Raises PictureError."""
    rows = max(map(len, scan.accuracy.values()))
    figure = new_figure((9, 1.8 + 0.2 * rows), extra="compress")
    figure.suptitle(f"{scan.network}: points lost on {scan.photos:,} photos, from {scan.baseline:.2%}")
    for axes, (harm, accuracy) in zip(figure.subplots(1, len(scan.accuracy)), scan.accuracy.items(), strict=True):
        lost = 100 * (scan.baseline - np.array(list(accuracy.values())))
        image = axes.imshow(np.clip(lost, 0, 10), aspect="auto", cmap="magma_r", vmin=0, vmax=10)
        axes.set_xticks(range(lost.shape[1]), [f"{level:g}" for level in scan.levels[harm]])
        axes.set_yticks(range(lost.shape[0]), list(accuracy), fontsize=6)
        axes.set_xlabel({"sparsity": "share of zeros", "bits": "bits of weights"}[harm])
        for (row, column), value in np.ndenumerate(lost):
            colour = "white" if value > 5 else "black"
            axes.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=5, color=colour)
        if harm == "bits":
            figure.colorbar(image, label="points (10 and more alike)")
    save_figure(figure, path, folder=True)
