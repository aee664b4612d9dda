"""Networks packed for transport, in the format of ``engines.packed``: what a device unpacks to the very same file.

Constants of a LiteRT file that take few values, as clustered and int8 kernels do, are coded near their entropy; zeros
cost what zeros cost; all else is compressed by LZMA. In a float32 file batch norm multiplies a clustered kernel's
channels, and few values become many: where the model is known, the package has the codebook and the channels' gains.
"""

import hashlib
import json
import lzma
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.engines.packed import (
    DIGEST,
    FILTERS,
    HEADER,
    LANES,
    MAGIC,
    MAX_SYMBOLS,
    digest_of,
    scaled,
    unpack,
)
from lykeion.nets.litert_writer import write_litert

from .entropy import cost_bits, encode, frequencies
from .errors import CompressionError
from .model import Model, with_kernels

SMALL = 4096
"""Kernels of int8 with fewer weights share a model: one of their own costs more than it saves."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Part of a file, and how it is coded; kinds as ``engines.packed`` lists them.

    ``table`` has the items of "symbols", uint8 (n, width), and ``shared`` says that equal tables share a model; of
    "scaled", ``values`` is the table, float32. "product" has ``source``, an offset, and ``factor``.
    """

    offset: int
    size: int
    kind: Literal["planes", "symbols", "sparse", "scaled", "product"] = "planes"
    width: int = 4
    table: np.ndarray | None = field(default=None, repr=False)
    shared: bool = False
    values: np.ndarray | None = field(default=None, repr=False)
    gains: np.ndarray | None = field(default=None, repr=False)
    repeat: int = 1
    divisor: float = 1.0
    source: int = 0
    factor: float = 1.0


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
    for layer in with_kernels(model.architecture):
        if layer.name not in model.clustered or layer.kind == "dense":
            continue
        gamma, mean, variance = (weights[f"{layer.name}/{name}"] for name in ("gamma", "mean", "variance"))
        fixed = np.float32(1 - epsilon)
        gain = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        divisor = np.sqrt(np.float64(fixed) + epsilon)
        weights[f"{layer.name}/gamma"] = (gain * divisor).astype(np.float32)
        weights[f"{layer.name}/variance"] = np.full_like(variance, fixed)
        weights[f"{layer.name}/mean"] = mean
    return replace(model, weights=weights)


def encode_spans(file: bytes, spans: Sequence[Span]) -> bytes:
    """The package of any bytes, in which ``spans``, which do not overlap, are coded as they say."""
    work, done = _Work(), 0
    for span in sorted(spans, key=lambda span: span.offset):
        if span.offset > done:
            work.plain_piece(file[done : span.offset])
        work.piece(span, file[span.offset : span.offset + span.size])
        done = span.offset + span.size
    if done < len(file):
        work.plain_piece(file[done:])
    return work.finish(file)


class _Work:
    """Pieces, plain part, symbols and models as they come."""

    def __init__(self) -> None:
        self._pieces: list[list[Any]] = []
        self._plain: list[bytes] = []
        self._symbols: list[np.ndarray] = []
        self._models: list[np.ndarray] = []  # counts of symbols
        self._model_of: list[int] = []
        self._shared: dict[bytes, int] = {}

    def plain_piece(self, content: bytes) -> None:
        self._pieces.append(["plain", len(content)])
        self._plain.append(content)

    def piece(self, span: Span, content: bytes) -> None:
        match span.kind:
            case "planes":
                self._pieces.append(["planes", span.size, span.width])
                self._add_planes(np.frombuffer(content, np.uint8).reshape(-1, span.width))
            case "product":
                self._pieces.append(["product", span.size, span.source, span.factor])
            case "symbols":
                assert span.table is not None, "a span of symbols has a table"
                items = _as_numbers(np.frombuffer(content, np.uint8).reshape(-1, span.width))
                symbols = np.searchsorted(_as_numbers(span.table), items)
                model = self._code(symbols, len(span.table), span.table.tobytes() if span.shared else None)
                self._pieces.append(["symbols", span.size, span.width, model])
                self._add_planes(span.table)
            case "sparse":
                items = np.frombuffer(content, np.uint8).reshape(-1, 4)
                kept = items.any(axis=1)
                self._pieces.append(["sparse", span.size, self._code(kept.astype(np.int64), 2, None)])
                self._add_planes(items[kept])
            case "scaled":
                assert span.values is not None and span.gains is not None, "a scaled span has values and gains"
                symbols = np.searchsorted(span.values, _unscaled(span, content))
                model = self._code(symbols, len(span.values), None)
                channels = [len(span.gains), span.divisor]
                self._pieces.append(["scaled", span.size, model, span.repeat, *channels])
                self._plain += [span.values.astype("<f4").tobytes(), span.gains.astype("<f4").tobytes()]

    def finish(self, file: bytes) -> bytes:
        models = [frequencies(counts) for counts in self._models]
        symbols = np.concatenate([np.empty(0, np.int64), *self._symbols])
        counts = [len(each) for each in self._symbols]
        coded = encode(symbols, models, np.repeat(np.array(self._model_of, np.int64), counts))
        plan = json.dumps(
            {
                "sha256": hashlib.sha256(file).hexdigest(),
                "pieces": self._pieces,
                "models": [model.tolist() for model in models],
            },
            separators=(",", ":"),
        ).encode()
        plain = b"".join(self._plain)
        parts = [_compress(plan), _compress(plain), coded]
        words = (len(coded) - 4 * LANES) // 2
        sizes = (len(file), len(parts[0]), len(plan), len(parts[1]), len(plain), len(symbols), words)
        package = bytearray(HEADER.pack(MAGIC, *sizes, bytes(32)) + b"".join(parts))
        package[DIGEST] = digest_of(bytes(package))
        return bytes(package)

    def _code(self, symbols: np.ndarray, size: int, shared: bytes | None) -> int:
        """The model's place; its counts grow by what is coded."""
        if shared is None or shared not in self._shared:
            self._models.append(np.zeros(size, np.int64))
            place = len(self._models) - 1
            if shared is not None:
                self._shared[shared] = place
        else:
            place = self._shared[shared]
        self._models[place] += np.bincount(symbols, minlength=size)
        self._symbols.append(symbols)
        self._model_of.append(place)
        return place

    def _add_planes(self, items: np.ndarray) -> None:
        self._plain.append(items.T.tobytes())


def _compress(content: bytes) -> bytes:
    return lzma.compress(content, lzma.FORMAT_RAW, filters=FILTERS) if content else b""


def _as_numbers(items: np.ndarray) -> np.ndarray:
    """Items uint8 (n, width) as whole numbers that sort."""
    wide = np.zeros((len(items), 8), np.uint8)
    wide[:, : items.shape[1]] = items
    return wide.view("<u8").reshape(-1)


def _spans(file: bytes, model: Model | None) -> Iterator[Span]:
    """How the constants of a LiteRT file are coded."""
    hints = _hints(model) if model else {}
    content = np.frombuffer(file, np.uint8)
    root = tfl.Model.GetRootAs(file, 0)
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
            yield Span(offset, len(data), "symbols", 1, table, shared=True)


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
                yield offset, Span(offset, bias.nbytes, "product", source=_offset(content, kernel), factor=factor)


def _scales(tensor: Any) -> np.ndarray:
    quantization = tensor.Quantization()
    if quantization is None or not quantization.ScaleLength():
        return np.empty(0, np.float32)
    return quantization.ScaleAsNumpy()


def _constant(offset: int, data: np.ndarray, kind: int, hint: Span | None) -> Iterator[Span]:
    size = len(data)
    if kind == tfl.TensorType.INT8:
        values, counts = np.unique(data, return_counts=True)
        if cost_bits(counts) / 8 + 2.5 * len(values) < size:
            yield Span(offset, size, "symbols", 1, values[:, None])
    elif kind == tfl.TensorType.FLOAT32:
        items = data.reshape(-1, 4)
        numbers, first = np.unique(_as_numbers(items), return_index=True)
        if hint is not None and _fits(hint, data):
            yield replace(hint, offset=offset, size=size)
        elif len(numbers) <= MAX_SYMBOLS and len(numbers) * 8 < len(items):
            yield Span(offset, size, "symbols", 4, items[first])
        elif (~items.any(axis=1)).mean() > 0.05:
            yield Span(offset, size, "sparse")
        else:
            yield Span(offset, size)
    elif kind == tfl.TensorType.INT32 and size > 16:
        yield Span(offset, size)


def _hints(model: Model) -> dict[str, Span]:
    """How the kernels of clustered layers were made, by the name of their constant in the file."""
    hints: dict[str, Span] = {}
    divisor = float(np.sqrt(np.float64(np.float32(1 - model.architecture.epsilon)) + model.architecture.epsilon))
    for layer in with_kernels(model.architecture):
        if layer.name not in model.clustered or layer.kind == "dense":
            continue
        values = np.unique(model.weights[f"{layer.name}/kernel"])
        repeat = layer.kernel**2 * layer.channels_in if layer.kind == "convolution" else 1
        gains = model.weights[f"{layer.name}/gamma"]
        hint = Span(0, 0, "scaled", 4, values=values, gains=gains, repeat=repeat, divisor=divisor)
        before = {"hard-swish": "/linear", "hard-sigmoid": "/relu6"}.get(layer.activation, "")
        hints[f"{layer.name}{before}/0"] = hint
    return hints


def _fits(hint: Span, data: np.ndarray) -> bool:
    """Whether table and gains give the bytes exactly."""
    assert hint.values is not None and hint.gains is not None, "a hint has values and gains"
    if len(hint.values) > MAX_SYMBOLS or (hint.gains <= 0).any():
        return False
    symbols = np.searchsorted(hint.values, _unscaled(hint, data.tobytes()))
    return np.array_equal(scaled(symbols, hint.values, hint.gains, hint.repeat, hint.divisor), data)


def _unscaled(span: Span, content: bytes) -> np.ndarray:
    """The values of the table that the channels' gains were multiplied by, the nearest ones."""
    assert span.values is not None and span.gains is not None, "a scaled span has values and gains"
    factors = span.gains.astype(np.float64) / span.divisor
    numbers = np.frombuffer(content, "<f4").astype(np.float64).reshape(-1, len(factors), span.repeat)
    wanted = (numbers / factors[:, None]).reshape(-1)
    middles = (span.values[1:].astype(np.float64) + span.values[:-1]) / 2
    return span.values[np.searchsorted(middles, wanted)]


def _offset(content: np.ndarray, part: np.ndarray) -> int:
    """Where in the file a view of it begins."""
    return part.__array_interface__["data"][0] - content.__array_interface__["data"][0]
