"""Reading LiteRT files.

Large constants may follow the flatbuffer, where ai-edge-quantizer puts them; they are found in both places. Try
untrusted files in a separate process first: this reader checks what it reads, but the schema's generated code trusts
lengths.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import Unsupported, first_line

from .errors import ModelError
from .graph import Graph, Operator, Quantization, Tensor

MARK = b"TFL3"
_KINDS: dict[int, str] = {code: name for name, code in vars(tfl.BuiltinOperator).items() if not name.startswith("_")}
_TYPES: dict[int, str] = {code: name for name, code in vars(tfl.TensorType).items() if not name.startswith("_")}
DTYPES = {
    tfl.TensorType.FLOAT32: np.dtype("<f4"),
    tfl.TensorType.FLOAT16: np.dtype("<f2"),
    tfl.TensorType.INT32: np.dtype("<i4"),
    tfl.TensorType.INT64: np.dtype("<i8"),
    tfl.TensorType.INT16: np.dtype("<i2"),
    tfl.TensorType.INT8: np.dtype("i1"),
    tfl.TensorType.UINT8: np.dtype("u1"),
    tfl.TensorType.BOOL: np.dtype("?"),
}


def read_graph(model: bytes, name: str = "model") -> Graph:
    """The graph of a ``.tflite`` file with one subgraph. Raises ModelError, and Unsupported for a valid file
    with features that are not supported."""
    try:
        parsed = parse(model)
        if len(parsed.subgraphs) != 1:
            raise Unsupported(f"it has {len(parsed.subgraphs)} subgraphs; one is supported")
        graph, buffers = parsed.subgraphs[0], [content_of(model, buffer) for buffer in parsed.buffers]
        tensors = tuple(_tensor(tensor, buffers) for tensor in graph.tensors)
        operators = tuple(_operator(operator, parsed.operatorCodes, len(tensors)) for operator in graph.operators)
        inputs, outputs = (_places(places, len(tensors)) for places in (graph.inputs, graph.outputs))
        signature = parsed.signatureDefs[0] if parsed.signatureDefs and len(parsed.signatureDefs) == 1 else None
        names = [
            {entry.tensorIndex: text_of(entry.name) for entry in (entries or ())}
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
        raise ModelError(f"{name}: not a valid LiteRT model: {first_line(error)}") from None


def parse(model: bytes) -> Any:
    if model[4:8] != MARK:
        raise ValueError("it lacks the mark TFL3")
    return tfl.ModelT.InitFromPackedBuf(model)


def content_of(model: bytes, buffer: Any) -> np.ndarray | None:
    """uint8, None where a buffer is empty. By the schema, an offset of 0 or 1 means none."""
    if buffer.offset > 1:
        if buffer.offset + buffer.size > len(model):
            raise ValueError("a constant is beyond the end of the file")
        return np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
    return None if buffer.data is None else np.asarray(buffer.data, np.uint8)


def _tensor(tensor: Any, buffers: Sequence[np.ndarray | None]) -> Tensor:
    sizes = tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ()))
    if tensor.type not in DTYPES:
        kind = _TYPES.get(tensor.type, str(tensor.type))
        raise Unsupported(f"tensor {text_of(tensor.name)!r} is of type {kind}, which is not supported")
    dtype, content = DTYPES[tensor.type], buffers[tensor.buffer]
    constant = None
    if tensor.sparsity is not None:
        raise Unsupported(f"tensor {text_of(tensor.name)!r} is stored sparse, which is not supported")
    if content is not None and content.size:
        constant = content.view(dtype).reshape(sizes)
    signature = tensor.shapeSignature
    if constant is None and signature is not None and len(signature) == len(sizes):
        sizes = tuple(int(size) for size in signature)
    return Tensor(text_of(tensor.name), sizes, dtype, constant, _quantization(tensor.quantization))


def _quantization(given: Any) -> Quantization | None:
    if given is None or given.scale is None or not len(given.scale):
        return None
    zeros = (0,) if given.zeroPoint is None else tuple(map(int, given.zeroPoint))
    if len(zeros) not in (1, len(given.scale)):
        raise ValueError(f"{len(given.scale)} scales and {len(zeros)} zero points of one tensor")
    return Quantization(tuple(map(float, given.scale)), zeros, int(given.quantizedDimension))


def _operator(operator: Any, codes: Sequence[Any], tensors: int) -> Operator:
    code = codes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    kind = f"custom operator {text_of(code.customCode)!r}" if code.customCode else _KINDS.get(number, str(number))
    inputs, outputs = (_places(places, tensors) for places in (operator.inputs, operator.outputs))
    return Operator(kind, inputs, outputs, operator.builtinOptions)


def _places(places: Any, tensors: int) -> tuple[int, ...]:
    found = tuple(int(place) for place in (places if places is not None else ()))
    if any(not -1 <= place < tensors for place in found):
        raise ValueError("an operator refers to a tensor that does not exist")
    return found


def text_of(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
