"""The network that is compressed, as plain data: what each method takes and gives back."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lykeion.core import first_line, write_atomically
from lykeion.nets import Architecture, ArchitectureError, Layer, Weights, count, layers, write_litert
from lykeion.nets.catalogue import write
from lykeion.nets.layers import INPUT, LOGITS
from lykeion.nets.litert_int8 import quantized_tensors
from lykeion.nets.training import Dataset
from lykeion.nets.training.checkpoints import read_arrays, write_arrays

from .errors import CompressionError

SCHEMA = "lykeion.compressed"
VERSION = 1
MAX_BYTES = 1 << 20
USUAL = ("convolution", "dense", "-0/*")
"""Layers that most methods begin with: those that hold nearly all weights, and not the first."""

_ARCHITECTURE, _WEIGHTS, _STATE, MODEL = "architecture.json", "weights.npz", "compression.json", "model.tflite"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network, and what of it must stay as it is when it is trained further. Layers go by name, as ``3/expand``.

    In the kernels of ``sparse`` layers zeros stay zero; in those of ``clustered`` ones weights that are equal stay
    equal. With ``ranges`` (lowest and highest number of each activation) the network computes in int8. ``converted``
    is the LiteRT file that post-training quantization made of it: such a network is not trained any more.
    """

    architecture: Architecture
    weights: Weights = field(repr=False)
    sparse: frozenset[str] = frozenset()
    clustered: frozenset[str] = frozenset()
    ranges: Mapping[str, tuple[float, float]] | None = field(default=None, repr=False)
    converted: bytes | None = field(default=None, repr=False)

    @property
    def kernels(self) -> dict[str, np.ndarray]:
        """Kernel by layer, in the order of the layers."""
        return {layer.name: self.weights[f"{layer.name}/kernel"] for layer in kernel_layers(self.architecture)}

    @property
    def sparsity(self) -> float:
        """Share of zeros among all weights of kernels."""
        kernels = self.kernels.values()
        return 1 - sum(map(np.count_nonzero, kernels)) / sum(kernel.size for kernel in kernels)

    @property
    def multiply_adds(self) -> int:
        return count(self.architecture).multiply_adds

    def check_trainable(self) -> None:
        """Raises CompressionError."""
        if self.converted is not None:
            raise CompressionError(
                f"{self.architecture.name} is converted by post-training quantization: nothing can follow; "
                "make quantize the last step, or use qat"
            )

    def litert(self, output: Literal["embedding", "logits"] = "logits") -> bytes:
        """The file that runs: float32, or int8 inside. Raises CompressionError."""
        if self.converted is not None:
            if output != LOGITS:
                raise CompressionError(f"{self.architecture.name} is converted, to logits: it cannot give embeddings")
            return self.converted
        if self.ranges is None:
            return write_litert(self.architecture, settle(self).weights, output=output)
        from .integers import write_quantized

        return write_quantized(self, self.ranges, output)


def kernel_layers(architecture: Architecture) -> tuple[Layer, ...]:
    """Those of its layers that have a kernel."""
    return tuple(layer for layer in layers(architecture) if layer.kind in ("convolution", "depthwise", "dense"))


def settle(model: Model) -> Model:
    """The same network, its batch norms' variance behind clustered kernels 1 − ε everywhere: then a gain of float32
    and a value of the codebook give each weight of the file, and it is delivered as these."""
    weights, epsilon = dict(model.weights), model.architecture.epsilon
    for layer in kernel_layers(model.architecture):
        if layer.name not in model.clustered or layer.kind == "dense":
            continue
        gamma, variance = (weights[f"{layer.name}/{name}"] for name in ("gamma", "variance"))
        fixed = np.float32(1 - epsilon)
        gain = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        divisor = np.sqrt(np.float64(fixed) + epsilon)
        weights[f"{layer.name}/gamma"] = (gain * divisor).astype(np.float32)
        weights[f"{layer.name}/variance"] = np.full_like(variance, fixed)
    return replace(model, weights=weights)


def select(architecture: Architecture, patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of layers with kernels that a pattern names, by name (``3/*``) or kind; a pattern with a leading ``-``
    takes away what it names. Raises CompressionError where none is left."""
    chosen: dict[str, bool] = {}
    for pattern in patterns:
        wanted = pattern.removeprefix("-")
        named = [
            layer.name
            for layer in kernel_layers(architecture)
            if layer.kind == wanted or fnmatchcase(layer.name, wanted)
        ]
        if not named:
            raise CompressionError(
                f"layers: {pattern!r} names no layer of {architecture.name}; "
                "`lykeion nets show --layers` lists them, kinds are convolution, depthwise and dense"
            )
        chosen |= dict.fromkeys(named, wanted == pattern)
    names = tuple(layer.name for layer in kernel_layers(architecture) if chosen.get(layer.name))
    if not names:
        raise CompressionError(f"layers: {', '.join(patterns)} leave no layer of {architecture.name}")
    return names


def save(model: Model, directory: Path) -> None:
    """Write a directory that ``open_model`` reads, and ``load_network`` of ``nets.training`` too; ``model.tflite`` in
    it gives logits. Raises TrainingError, ArchitectureError, OSError."""
    write_arrays(directory / _WEIGHTS, model.weights)
    write(model.architecture, directory / _ARCHITECTURE)
    state = {
        "schema": SCHEMA,
        "version": VERSION,
        "sparse": sorted(model.sparse),
        "clustered": sorted(model.clustered),
        "ranges": None if model.ranges is None else {name: list(pair) for name, pair in model.ranges.items()},
        "converted": model.converted is not None,
    }
    write_atomically(directory / MODEL, model.litert())
    write_atomically(directory / _STATE, (json.dumps(state, indent=1) + "\n").encode())


def open_model(path: Path) -> Model:
    """A run directory of ``lykeion train``, a step of a compression, or a ``.keras`` file of a MobileNet.

    Raises CompressionError, ArchitectureError, TrainingError.
    """
    if path.suffix == ".keras":
        from .keras_file import read_keras

        return read_keras(path)
    if not (path / _ARCHITECTURE).is_file():
        raise CompressionError(f"{path}: neither a finished run directory nor a .keras file")
    try:
        architecture = Architecture.from_json(_read(path / _ARCHITECTURE))
    except ArchitectureError as error:
        raise ArchitectureError(f"{path / _ARCHITECTURE}: {error}") from None
    weights = read_arrays(path / _WEIGHTS)
    if f"{LOGITS}/kernel" not in weights:
        raise CompressionError(
            f"{path}: an embedder, without classes to judge it by; `lykeion compress pack` takes its model.tflite"
        )
    for layer in layers(architecture):
        for name, shape in layer.weights().items():
            if (found := getattr(weights.get(name), "shape", None)) != shape:
                raise CompressionError(f"{path / _WEIGHTS}: {name} has shape {found}, not {shape}")
    if not (path / _STATE).exists():
        return Model(architecture, weights)
    return _with_state(path, Model(architecture, weights))


def check_classes(run: Path, data: Dataset) -> None:
    """Raises CompressionError where a run directory names other classes than the data. Others name none."""
    file = run / "classes.json"
    if not file.is_file():
        return
    try:
        ours = tuple(map(str, json.loads(_read(file))))
    except (ValueError, TypeError, RecursionError) as error:
        raise CompressionError(f"{file}: cannot be used ({first_line(error)})") from None
    for place, (one, other) in enumerate(zip(ours, data.classes, strict=False)):
        if one != other:
            raise CompressionError(f"{data.name}: class {place} is {other!r}; {run} was trained with {one!r}")


def _with_state(path: Path, model: Model) -> Model:
    known = {layer.name for layer in kernel_layers(model.architecture)}
    try:
        state = json.loads(_read(path / _STATE))
        if (state["schema"], state["version"]) != (SCHEMA, VERSION):
            raise ValueError(f"schema {state['schema']!r} of version {state['version']!r}")
        sparse, clustered = frozenset(state["sparse"]), frozenset(state["clustered"])
        if unknown := (sparse | clustered) - known:
            raise ValueError(f"layer {min(unknown)!r} is not in the architecture")
        ranges = None if state["ranges"] is None else _ranges(state["ranges"].items(), model.architecture)
        converted = (path / MODEL).read_bytes() if state["converted"] else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CompressionError(f"{path / _STATE}: cannot be used ({first_line(error)})") from None
    return Model(model.architecture, model.weights, sparse, clustered, ranges, converted)


def _ranges(items: Iterable[tuple[str, Any]], architecture: Architecture) -> dict[str, tuple[float, float]]:
    ranges = {name: (float(low), float(high)) for name, (low, high) in items}
    tensors = {INPUT, *(name for layer in layers(architecture) for name in quantized_tensors(layer))}
    if lacking := tensors - ranges.keys():
        raise ValueError(f"there is no range of {min(lacking)!r}")
    for name, (low, high) in ranges.items():
        if not (math.isfinite(low) and math.isfinite(high) and low <= 0 <= high and low < high):
            raise ValueError(f"the range of {name!r} is {low} to {high}")
    return ranges


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CompressionError(f"{path}: {error.strerror or error}") from None
    if len(content) > MAX_BYTES:
        raise CompressionError(f"{path}: larger than {MAX_BYTES >> 20} MiB")
    return content
