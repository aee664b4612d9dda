"""What a LiteRT file computes, as plain data: for converters, counts, and what is to be known of its precision.

The file is a flatbuffer of the TensorFlow Lite schema. Large constants may lie behind the flatbuffer, as
ai-edge-quantizer puts them; here they are found either way. Files that nobody vouches for are to pass ``try_model``
first: this reader checks what it reads, but the schema's generated code trusts lengths.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, cast

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import Unsupported, first_line
from lykeion.core.flatbuffer import AlignedBuilder

from .protocol import ModelError, TensorSpec

_KINDS: dict[int, str] = {code: name for name, code in vars(tfl.BuiltinOperator).items() if not name.startswith("_")}
_TYPES: dict[int, str] = {code: name for name, code in vars(tfl.TensorType).items() if not name.startswith("_")}
_DTYPES = {
    tfl.TensorType.FLOAT32: np.dtype("<f4"),
    tfl.TensorType.FLOAT16: np.dtype("<f2"),
    tfl.TensorType.INT32: np.dtype("<i4"),
    tfl.TensorType.INT64: np.dtype("<i8"),
    tfl.TensorType.INT16: np.dtype("<i2"),
    tfl.TensorType.INT8: np.dtype("i1"),
    tfl.TensorType.UINT8: np.dtype("u1"),
    tfl.TensorType.BOOL: np.dtype("?"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """real = scale · (value − zero point), for the whole tensor or, with more than one scale, along ``axis``."""

    scales: np.ndarray
    zero_points: np.ndarray
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """``shape`` has -1 where the size is open. A constant has its values in that shape."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    constant: np.ndarray | None
    quantization: Quantization | None


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """``kind`` is the schema's name, such as CONV_2D; an input that is left out is -1; ``options`` the schema's."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """``inputs`` and ``outputs`` are places in ``tensors``; their names are the signature's where there is one."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one run on one photo: multiply-adds of convolutions and dense layers, and bytes of constants and of tensors
    that operators read and write."""

    multiply_adds: int
    constant_bytes: int
    moved_bytes: int


def read_graph(model: bytes, name: str = "model") -> Graph:
    """The graph of a ``.tflite`` file with one subgraph. Raises ModelError; Unsupported of a sound file that has what
    is not read here."""
    try:
        parsed = _parse(model)
        if len(parsed.subgraphs) != 1:
            raise Unsupported(f"it has {len(parsed.subgraphs)} subgraphs; one is supported")
        graph, buffers = parsed.subgraphs[0], [_content(model, buffer) for buffer in parsed.buffers]
        tensors = tuple(_tensor(tensor, buffers) for tensor in graph.tensors)
        operators = tuple(_operator(operator, parsed.operatorCodes, len(tensors)) for operator in graph.operators)
        inputs, outputs = (_places(places, len(tensors)) for places in (graph.inputs, graph.outputs))
        signature = parsed.signatureDefs[0] if parsed.signatureDefs and len(parsed.signatureDefs) == 1 else None
        names = [
            {entry.tensorIndex: _text(entry.name) for entry in (entries or ())}
            for entries in ((signature.inputs, signature.outputs) if signature else ((), ()))
        ]
        return Graph(
            name,
            tensors,
            operators,
            inputs,
            outputs,
            tuple(names[0].get(place) or tensors[place].name for place in inputs),
            tuple(names[1].get(place) or tensors[place].name for place in outputs),
        )
    except Unsupported as error:
        raise Unsupported(f"{name}: {error}") from None
    except (struct.error, ValueError, TypeError, IndexError, KeyError, AttributeError, MemoryError) as error:
        raise ModelError(f"{name}: not a sound LiteRT model: {first_line(error)}") from None


def specs(graph: Graph) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What goes in and what comes out."""

    def of(places: Sequence[int], names: Sequence[str]) -> tuple[TensorSpec, ...]:
        return tuple(_spec(graph.tensors[place], name) for place, name in zip(places, names, strict=True))

    return of(graph.inputs, graph.input_names), of(graph.outputs, graph.output_names)


def precision(graph: Graph) -> str:
    """float32; int8, where activations are 8-bit integers; int16 likewise; else what the weights are kept in:
    "int8 weights", "float16 weights"."""
    computed = {graph.tensors[place].dtype.name for operator in graph.operators for place in operator.outputs}
    for integers in ("int8", "uint8", "int16"):
        if integers in computed:
            return integers
    weights = {
        tensor.dtype.name for tensor in graph.tensors if tensor.constant is not None and tensor.constant.ndim > 1
    }
    for narrow in ("int8", "float16"):
        if narrow in weights:
            return f"{narrow} weights"
    return "float32"


def cost(graph: Graph) -> Cost:
    """What one run on one photo costs, counted from the graph. Raises ModelError where an operator lacks operands."""
    multiply_adds = moved = 0
    for operator in graph.operators:
        places = [place for place in operator.inputs if place >= 0]
        moved += sum(
            _elements(graph.tensors[place]) * graph.tensors[place].dtype.itemsize
            for place in (*places, *operator.outputs)
            if graph.tensors[place].constant is None
        )
        if operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            if len(operator.inputs) < 2 or not operator.outputs:
                raise ModelError(f"{graph.name}: not a sound LiteRT model: a {operator.kind} lacks operands")
            kernel = graph.tensors[operator.inputs[1]].shape
            output = _elements(graph.tensors[operator.outputs[0]])
            inside = prod(kernel[1:3]) if operator.kind == "DEPTHWISE_CONV_2D" else prod(kernel[1:])
            multiply_adds += output * inside
    constants = sum(tensor.constant.nbytes for tensor in graph.tensors if tensor.constant is not None)
    return Cost(multiply_adds, constants, moved)


def with_metadata(model: bytes, entries: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """The same model with all constants inside the flatbuffer, as most readers expect them, and with these named
    metadata, which replace any of the same name. Raises ModelError."""
    try:
        parsed = _parse(model)
        for buffer in parsed.buffers:
            buffer.data, buffer.offset, buffer.size = cast(Any, _content(model, buffer)), 0, 0
        replaced = {name for name, _ in entries}
        kept = [entry for entry in parsed.metadata or [] if _text(entry.name) not in replaced]
        for name, content in entries:
            parsed.buffers.append(tfl.BufferT(data=cast(Any, np.frombuffer(content, np.uint8))))
            kept.append(tfl.MetadataT(name=name, buffer=len(parsed.buffers) - 1))
        parsed.metadata = kept
        builder = AlignedBuilder(len(model) + (1 << 16))
        builder.Finish(parsed.Pack(builder), b"TFL3")
        return bytes(builder.Output())
    except (struct.error, ValueError, TypeError, IndexError, AttributeError, MemoryError) as error:
        raise ModelError(f"model: not a sound LiteRT model: {first_line(error)}") from None


def _parse(model: bytes) -> Any:
    if model[4:8] != b"TFL3":
        raise ValueError("it lacks the mark TFL3")
    return tfl.ModelT.InitFromPackedBuf(model)


def _content(model: bytes, buffer: Any) -> np.ndarray | None:
    """uint8, None where a buffer is empty. An offset of 0 or 1 means that there is none, by the schema."""
    if buffer.offset > 1:
        if buffer.offset + buffer.size > len(model):
            raise ValueError("a constant lies beyond the end of the file")
        return np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
    return None if buffer.data is None else np.asarray(buffer.data, np.uint8)


def _tensor(tensor: Any, buffers: Sequence[np.ndarray | None]) -> Tensor:
    sizes = tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ()))
    if tensor.type not in _DTYPES:
        kind = _TYPES.get(tensor.type, str(tensor.type))
        raise Unsupported(f"tensor {_text(tensor.name)!r} is of type {kind}, which is not supported")
    dtype, content = _DTYPES[tensor.type], buffers[tensor.buffer]
    constant = None
    if tensor.sparsity is not None:
        raise Unsupported(f"tensor {_text(tensor.name)!r} is kept sparse, which is not supported")
    if content is not None and content.size:
        constant = content.view(dtype).reshape(sizes)
    signature = tensor.shapeSignature
    if constant is None and signature is not None and len(signature) == len(sizes):
        sizes = tuple(int(size) for size in signature)
    return Tensor(_text(tensor.name), sizes, dtype, constant, _quantization(tensor.quantization))


def _quantization(given: Any) -> Quantization | None:
    if given is None or given.scale is None or not len(given.scale):
        return None
    scales = np.asarray(given.scale, np.float32)
    zeros = np.zeros(len(scales), np.int64) if given.zeroPoint is None else np.asarray(given.zeroPoint, np.int64)
    return Quantization(scales, np.broadcast_to(zeros, scales.shape), int(given.quantizedDimension))


def _operator(operator: Any, codes: Sequence[Any], tensors: int) -> Operator:
    code = codes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    kind = f"custom operator {_text(code.customCode)!r}" if code.customCode else _KINDS.get(number, str(number))
    inputs, outputs = (_places(places, tensors) for places in (operator.inputs, operator.outputs))
    return Operator(kind, inputs, outputs, operator.builtinOptions)


def _places(places: Any, tensors: int) -> tuple[int, ...]:
    found = tuple(int(place) for place in (places if places is not None else ()))
    if any(not -1 <= place < tensors for place in found):
        raise ValueError("an operator names a tensor that is not there")
    return found


def _spec(tensor: Tensor, name: str) -> TensorSpec:
    grid = tensor.quantization
    quantization = (float(grid.scales[0]), float(grid.zero_points[0])) if grid else None
    return TensorSpec(name, (-1, *tensor.shape[1:]), np.dtype(tensor.dtype.name), quantization)


def _elements(tensor: Tensor) -> int:
    return prod(max(size, 1) for size in tensor.shape)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
