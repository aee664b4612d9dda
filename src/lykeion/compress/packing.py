"""Networks packed for delivery, in the format of ``litert.packed``: a device unpacks them to an identical file.

Constants of a LiteRT file that take few values, such as clustered and int8 kernels, are coded near their entropy,
zeros included; everything else is compressed by LZMA. In a float32 file batch norm multiplies a clustered kernel's
channels, so few values become many: if the model is known, the package has the codebook and the channels' gains.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from lykeion.core import first_line
from lykeion.engines import read_model
from lykeion.litert import PlacedGraph, placed_graphs
from lykeion.litert.packed import (
    MAX_BYTES,
    MAX_SYMBOLS,
    Coding,
    Planes,
    Scaled,
    ScaledCopy,
    Span,
    Sparse,
    Symbols,
    as_numbers,
    compressed,
    cost_bits,
    encode_spans,
    unpack,
)
from lykeion.nets import LOGITS

from .compressed_model import CompressedModel, kernel_layers, settle
from .errors import CompressionError
from .network_files import litert_file, open_model

SMALL = 4096
"""int8 kernels with fewer weights may share a model if a separate one would cost more than it saves."""
_LZMA = 1.02
"""Ratio of a part's LZMA size among other parts to its size alone."""
_SAMPLE = 1 << 16
"""Number of floats that suffices to choose the best coding for a kernel."""


def pack(model: CompressedModel, output: Literal["embedding", "logits"] = "logits") -> tuple[bytes, bytes]:
    """The package of a network, and the LiteRT file that it unpacks to: that of ``model.litert``.

    Raises CompressionError.
    """
    file = litert_file(model, output)
    return pack_file(file, model), file


def pack_path(path: Path, output: Literal["embedding", "logits"] = "logits") -> tuple[bytes, bytes]:
    """The package, and the LiteRT file that it unpacks to: of a run, a step of a compression, or a ``.tflite`` file.

    Raises CompressionError, ModelError, and what ``open_model`` raises.
    """
    if path.suffix != ".tflite":
        return pack(open_model(path), output)
    if output != LOGITS:
        raise CompressionError(f"{path}: a .tflite file has one output; pack a run or a step for its {output}")
    file = read_model(path)
    return pack_file(file, name=str(path)), file


def pack_file(file: bytes, model: CompressedModel | None = None, *, name: str = "pack") -> bytes:
    """The package of any LiteRT file; ``model`` is its source, if known; ``name`` is used in error messages.

    Raises CompressionError if the file cannot be read, or is larger than ``unpack`` allows.
    """
    if len(file) > MAX_BYTES:
        raise CompressionError(f"{name}: the file has {len(file):,} bytes; a package holds {MAX_BYTES:,} at most")
    hints = _hints(model) if model and model.converted is None and model.ranges is None else {}
    try:
        spans = list(_apart(_spans(file, hints)))
        package = encode_spans(file, spans)
    except Exception as error:  # the generated reader does not validate its input
        raise CompressionError(f"{name}: not a LiteRT file: {first_line(error)}") from None
    if unpack(package, limit_bytes=len(file)) != file:
        raise CompressionError("pack: the package does not unpack to the file; please report this")
    return package


def _apart(spans: Iterable[Span]) -> Iterator[Span]:
    """The spans that begin after the end of the previous one: of parts that overlap in the file, the first."""
    end = 0
    for span in sorted(spans, key=lambda span: span.offset):
        if span.offset >= end:
            yield span
            end = span.offset + span.size


def _spans(file: bytes, hints: Mapping[str, Scaled]) -> Iterator[Span]:
    """How the constants of a LiteRT file are coded."""
    integers: dict[int, np.ndarray] = {}
    for graph in placed_graphs(file):
        products = {span.offset: span for span in _bias_scales(graph)}
        for tensor in graph.tensors:
            if tensor.scales and len(tensor.scales.values) > 1:
                offset = tensor.scales.offset
                yield products.get(offset, Span(offset, tensor.scales.values.nbytes))
            if tensor.content is None:
                continue
            offset, data = tensor.content.offset, tensor.content.values
            if tensor.dtype == np.int8:
                integers[offset] = data
            elif tensor.dtype == np.float32:
                coding = _floats(data, hints.get(tensor.name))
                if coding is not None:
                    yield Span(offset, len(data), coding)
            elif tensor.dtype == np.int32 and len(data) > 16:
                yield Span(offset, len(data))
    yield from _integers(integers)


def _bias_scales(graph: PlacedGraph) -> Iterator[Span]:
    """Scales of biases, where they are the kernel's scales times the input's scale, as they should be."""
    for inputs in graph.operators:
        if len(inputs) != 3 or min(inputs) < 0:
            continue
        source, kernel, bias = (graph.tensors[place].scales for place in inputs)
        if source and kernel and bias and len(source.values) == 1 < len(bias.values) == len(kernel.values):
            factor = float(source.values[0])
            if np.array_equal((kernel.values.astype(np.float64) * factor).astype(np.float32), bias.values):
                yield Span(bias.offset, bias.values.nbytes, ScaledCopy(kernel.offset, factor))


def _integers(constants: Mapping[int, np.ndarray]) -> Iterator[Span]:
    """8-bit constants, uint8 by offset: each coded by a separate model, or by one that small constants share, or left
    to LZMA with the surrounding bytes, whichever takes the fewest bytes."""
    counts = {offset: np.bincount(data, minlength=MAX_SYMBOLS) for offset, data in constants.items()}
    alone = {offset: _bytes_alone(each) for offset, each in counts.items()}
    left = {offset: _LZMA * len(compressed(data.tobytes())) for offset, data in constants.items()}
    sharing = {offset: counts[offset] for offset, data in constants.items() if len(data) < SMALL}
    for _ in range(2):  # without those that are smaller alone, it fits the others better
        together = sum(sharing.values(), np.zeros(MAX_SYMBOLS, np.int64))
        sharing = {
            offset: each
            for offset, each in sharing.items()
            if cost_bits(each, together) / 8 < min(alone[offset], left[offset])
        }
    table = np.flatnonzero(sum(sharing.values(), np.zeros(MAX_SYMBOLS, np.int64)))
    for offset, data in constants.items():
        if offset in sharing:
            yield Span(offset, len(data), Symbols(table.astype(np.uint8)[:, None], shared=True))
        elif alone[offset] < left[offset]:
            yield Span(offset, len(data), Symbols(np.flatnonzero(counts[offset]).astype(np.uint8)[:, None]))


def _bytes_alone(counts: np.ndarray) -> float:
    """Bytes with a separate model, which adds each value and its frequency to the plan."""
    return cost_bits(counts) / 8 + 2.5 * np.count_nonzero(counts)


def _floats(data: np.ndarray, hint: Scaled | None) -> Coding | None:
    """The coding in which float32 values take the fewest bytes; None if LZMA compresses them better as they are."""
    items = data.reshape(-1, 4)
    numbers, first = np.unique(as_numbers(items), return_index=True)
    if hint is not None and hint.gives(data.tobytes()):
        return hint
    if len(numbers) <= MAX_SYMBOLS and len(numbers) * 8 < len(items):
        return Symbols(items[first])
    some = items[:_SAMPLE]
    kept = some.any(axis=1)
    sizes = {
        None: _LZMA * len(compressed(some.tobytes())),
        Planes(): len(compressed(some.T.tobytes())),
        Sparse(): len(compressed(some[kept].T.tobytes())) + cost_bits(np.bincount(kept)) / 8,
    }
    return min(sizes, key=sizes.__getitem__)


def _hints(model: CompressedModel) -> dict[str, Scaled]:
    """How the float32 kernels of clustered layers were made, by the name of their constant in the file."""
    hints: dict[str, Scaled] = {}
    model = settle(model)
    divisor = float(np.sqrt(np.float64(np.float32(1 - model.architecture.epsilon)) + model.architecture.epsilon))
    for layer in kernel_layers(model.architecture):
        if layer.name not in model.clustered or layer.kind == "dense":
            continue
        values = np.unique(model.weights[f"{layer.name}/kernel"])
        repeat = layer.kernel**2 * layer.channels_in if layer.kind == "convolution" else 1
        gains = model.weights[f"{layer.name}/gamma"]
        before = {"hard-swish": "/linear", "hard-sigmoid": "/relu6"}.get(layer.activation, "")
        if len(values) <= MAX_SYMBOLS:
            hints[f"{layer.name}{before}/0"] = Scaled(values, gains, repeat, divisor)
    return hints
