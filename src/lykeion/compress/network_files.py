"""Files of networks under compression: directories of runs and steps, ``.keras`` files, and LiteRT files."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from lykeion.core import fitting, read_bounded, read_json, write_atomically
from lykeion.nets import (
    INPUT,
    LOGITS,
    Architecture,
    layers,
    quantized_tensors,
    write_architecture,
    write_litert,
)
from lykeion.nets.training import Dataset, load_network, read_classes, write_arrays

from .compressed_model import CompressedModel, kernel_layers, settle
from .errors import CompressionError
from .weights.integers import write_quantized

SCHEMA = "lykeion.compressed"
VERSION = 1
MAX_BYTES = 1 << 20
MAX_MODEL_BYTES = 1 << 30
_ARCHITECTURE, _WEIGHTS, _STATE, MODEL = "architecture.json", "weights.npz", "compression.json", "model.tflite"


def litert_file(model: CompressedModel, output: Literal["embedding", "logits"] = "logits") -> bytes:
    """The LiteRT file to run: float32, or int8 inside. Raises CompressionError."""
    if model.converted is not None:
        if output != LOGITS:
            raise CompressionError(f"{model.architecture.name} is converted, to logits: it cannot give embeddings")
        return model.converted
    if model.ranges is None:
        return write_litert(model.architecture, settle(model).weights, output=output)
    return write_quantized(model, model.ranges, output)


def save(model: CompressedModel, directory: Path) -> None:
    """Write a directory that ``open_model`` and ``load_network`` of ``nets.training`` can read; its ``model.tflite``
    outputs logits. Raises TrainingError, ArchitectureError, OSError."""
    write_arrays(directory / _WEIGHTS, model.weights)
    write_architecture(model.architecture, directory / _ARCHITECTURE)
    state = {
        "schema": SCHEMA,
        "version": VERSION,
        "sparse": sorted(model.sparse),
        "clustered": sorted(model.clustered),
        "ranges": None if model.ranges is None else {name: list(pair) for name, pair in model.ranges.items()},
        "converted": model.converted is not None,
    }
    write_atomically(directory / MODEL, litert_file(model))
    write_atomically(directory / _STATE, (json.dumps(state, indent=1) + "\n").encode())


def open_model(path: Path) -> CompressedModel:
    """A run directory of ``lykeion train``, a step of a compression, or a ``.keras`` file of a MobileNet.

    Raises CompressionError, ArchitectureError, TrainingError.
    """
    if path.suffix == ".keras":
        from .keras_file import read_keras

        return read_keras(path)
    if not (path / _ARCHITECTURE).is_file():
        raise CompressionError(f"{path}: neither a finished run directory nor a .keras file")
    architecture, weights = load_network(path)
    if f"{LOGITS}/kernel" not in weights:
        raise CompressionError(
            f"{path}: an embedder, without classes to judge it by; `lykeion compress pack` takes its model.tflite"
        )
    for layer in layers(architecture):
        for name, shape in layer.weights().items():
            if (found := getattr(weights.get(name), "shape", None)) != shape:
                raise CompressionError(f"{path / _WEIGHTS}: {name} has shape {found}, not {shape}")
    if not (path / _STATE).exists():
        return CompressedModel(architecture, weights)
    return _with_state(path, CompressedModel(architecture, weights))


def check_classes(run: Path, data: Dataset) -> None:
    """Raises CompressionError if a run directory names other classes than the data, TrainingError if its list cannot
    be read. Other inputs name no classes."""
    for place, (one, other) in enumerate(zip(read_classes(run), data.classes, strict=False)):
        if one != other:
            raise CompressionError(f"{data.name}: class {place} is {other!r}; {run} was trained with {one!r}")


def _with_state(path: Path, model: CompressedModel) -> CompressedModel:
    known = {layer.name for layer in kernel_layers(model.architecture)}
    state = read_json(path / _STATE, CompressionError, "compressed network", limit=MAX_BYTES)
    converted = None
    with fitting(CompressionError, "compressed network that can be used", where=f"{path / _STATE}: "):
        if (state["schema"], state["version"]) != (SCHEMA, VERSION):
            raise ValueError(f"schema {state['schema']!r} of version {state['version']!r}")
        sparse, clustered = frozenset(state["sparse"]), frozenset(state["clustered"])
        if unknown := (sparse | clustered) - known:
            raise ValueError(f"layer {min(unknown)!r} is not in the architecture")
        ranges = None if state["ranges"] is None else _ranges(state["ranges"].items(), model.architecture)
        if state["converted"]:
            converted = read_bounded(path / MODEL, CompressionError, "network", limit=MAX_MODEL_BYTES)
    return CompressedModel(model.architecture, model.weights, sparse, clustered, ranges, converted)


def _ranges(items: Iterable[tuple[str, Any]], architecture: Architecture) -> dict[str, tuple[float, float]]:
    ranges = {name: (float(low), float(high)) for name, (low, high) in items}
    tensors = {INPUT, *(name for layer in layers(architecture) for name in quantized_tensors(layer))}
    if lacking := tensors - ranges.keys():
        raise ValueError(f"there is no range of {min(lacking)!r}")
    for name, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high) and low <= 0 <= high and low < high):
            raise ValueError(f"the range of {name!r} is {low} to {high}")
    return ranges
