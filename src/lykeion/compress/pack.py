"""Networks packed for transport, in the format of ``engines.packed``: what a device unpacks to the very same file.

Constants of a LiteRT file that take few values, as clustered and int8 kernels do, are coded near their entropy; zeros
cost what zeros cost; all else is compressed by LZMA. In a float32 file batch norm multiplies a clustered kernel's
channels, and few values become many: where the model is known, the package has the codebook and the channels' gains.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.engines.packed import MAX_SYMBOLS, unpack
from lykeion.nets.litert_writer import write_litert

from .coding import Product, Scaled, Span, Sparse, Symbols, as_numbers, encode_spans
from .entropy import cost_bits
from .errors import CompressionError
from .model import Model, kernel_layers

SMALL = 4096
"""Kernels of int8 with fewer weights share a model: one of their own costs more than it saves."""


def pack(model: Model, output: Literal["embedding", "logits"] = "logits") -> tuple[bytes, bytes]:
    """The package of a network, and the LiteRT file that it unpacks to. Raises CompressionError."""
    if model.converted is not None or model.ranges is not None or not model.clustered:
        file = model.litert(output)
        return pack_file(file), file
    settled = settle(model)
    file = write_litert(settled.architecture, settled.weights, output=output)
    return pack_file(file, settled), file


def pack_file(file: bytes, model: Model | None = None) -> bytes:
    """The package of any LiteRT file; ``model`` is the clustered one it was written from, if any.

    Raises CompressionError where the file cannot be read.
    """
    try:
        spans = list(_spans(file, model))
    except Exception as error:  # the generated reader trusts what it reads
        raise CompressionError(f"pack: not a LiteRT file that can be read ({type(error).__name__})") from None
    package = encode_spans(file, spans)
    if unpack(package, limit_bytes=len(file)) != file:
        raise CompressionError("pack: the package does not unpack to the file; please report this")
    return package


def settle(model: Model) -> Model:
    """The same network, its batch norms' variance behind clustered kernels 1 − ε everywhere: gains are float32."""
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


def _spans(file: bytes, model: Model | None) -> Iterator[Span]:
    """How the constants of a LiteRT file are coded."""
    hints = _hints(model) if model else {}
    content = np.frombuffer(file, np.uint8)
    root: Any = tfl.Model.GetRootAs(file, 0)
    small: list[tuple[int, np.ndarray]] = []
    seen: set[int] = set()
    for graph in map(root.Subgraphs, range(root.SubgraphsLength())):
        products = dict(_bias_scales(graph, content))
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            scales = _scales(tensor)
            if len(scales) > 1:
                offset = _offset(content, scales)
                yield products.get(offset, Span(offset, 4 * len(scales)))
            buffer = root.Buffers(tensor.Buffer())
            if tensor.Buffer() in seen or not buffer.DataLength():
                continue
            seen.add(tensor.Buffer())
            data = buffer.DataAsNumpy()
            offset = _offset(content, data)
            if tensor.Type() == tfl.TensorType.INT8 and len(data) < SMALL:
                small.append((offset, data))
            else:
                name = tensor.Name().decode(errors="replace")
                yield from _constant(offset, data, tensor.Type(), hints.get(name))
    if small:
        table = np.unique(np.concatenate([data for _, data in small]))[:, None]
        for offset, data in small:
            yield Span(offset, len(data), Symbols(table, shared=True))


def _bias_scales(graph: Any, content: np.ndarray) -> Iterator[tuple[int, Span]]:
    """Scales of biases, by offset, where they are those of the kernel times that of the input, as they should be."""
    for operator in map(graph.Operators, range(graph.OperatorsLength())):
        inputs = operator.InputsAsNumpy()
        if operator.InputsLength() != 3 or min(inputs) < 0:
            continue
        source, kernel, bias = (_scales(graph.Tensors(int(place))) for place in inputs)
        if len(source) == 1 and 1 < len(bias) == len(kernel):
            factor = float(source[0])
            if np.array_equal((kernel.astype(np.float64) * factor).astype(np.float32), bias):
                offset = _offset(content, bias)
                yield offset, Span(offset, bias.nbytes, Product(_offset(content, kernel), factor))


def _scales(tensor: Any) -> np.ndarray:
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ScaleLength():
        return np.empty(0, np.float32)
    return quantization.ScaleAsNumpy()


def _constant(offset: int, data: np.ndarray, kind: int, hint: Scaled | None) -> Iterator[Span]:
    size = len(data)
    if kind == tfl.TensorType.INT8:
        values, counts = np.unique(data, return_counts=True)
        if cost_bits(counts) / 8 + 2.5 * len(values) < size:
            yield Span(offset, size, Symbols(values[:, None]))
    elif kind == tfl.TensorType.FLOAT32:
        items = data.reshape(-1, 4)
        numbers, first = np.unique(as_numbers(items), return_index=True)
        if hint is not None and hint.gives(data.tobytes()):
            yield Span(offset, size, hint)
        elif len(numbers) <= MAX_SYMBOLS and len(numbers) * 8 < len(items):
            yield Span(offset, size, Symbols(items[first]))
        elif (~items.any(axis=1)).mean() > 0.05:
            yield Span(offset, size, Sparse())
        else:
            yield Span(offset, size)
    elif kind == tfl.TensorType.INT32 and size > 16:
        yield Span(offset, size)


def _hints(model: Model) -> dict[str, Scaled]:
    """How the kernels of clustered layers were made, by the name of their constant in the file."""
    hints: dict[str, Scaled] = {}
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


def _offset(content: np.ndarray, part: np.ndarray) -> int:
    """Where in the file a view of it begins."""
    return part.__array_interface__["data"][0] - content.__array_interface__["data"][0]
