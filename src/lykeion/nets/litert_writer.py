"""A LiteRT file straight from an architecture and its weights: no TensorFlow, milliseconds.

The file is a flatbuffer of the TensorFlow Lite schema (identifier TFL3, schema version 3), built with the schema
classes that come with ai-edge-litert. Batch norm is folded into the convolutions. The batch is 1 and may be resized.
Equal inputs give equal bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from .architecture import Architecture
from .layers import EMBEDDING, INPUT, LOGITS, Layer, layers
from .torch_weights import WeightsError

WRITER_VERSION = 1
"""Raised when the bytes written for the same architecture and weights change."""

_ACTIVATIONS = {
    "linear": tfl.ActivationFunctionType.NONE,
    "relu": tfl.ActivationFunctionType.RELU,
    "relu6": tfl.ActivationFunctionType.RELU6,
}


def write_litert(
    architecture: Architecture,
    weights: Mapping[str, np.ndarray],
    *,
    output: Literal["embedding", "logits"] = "embedding",
) -> bytes:
    """The LiteRT file of a network from photos, float32 (n, height, width, 3), to one output, float32 (n, dimension).

    The output is the pooled features or the logits; what the other alone needs is left out. ``weights`` are named
    and shaped as ``Layer.weights`` says. Raises WeightsError.
    """
    graph = _Graph()
    graph.tensor(INPUT, (1, architecture.height, architecture.width, 3))
    for layer in layers(architecture):
        if output == LOGITS or layer.name != LOGITS:
            _write_layer(graph, layer, weights, architecture)
    return graph.finish(architecture.name, INPUT, output)


def _write_layer(
    graph: "_Graph", layer: Layer, weights: Mapping[str, np.ndarray], architecture: Architecture
) -> None:
    own = {name.rpartition("/")[2]: _weight(weights, name, shape) for name, shape in layer.weights().items()}
    operator, options, constants, version = _operator(layer, own, architecture.epsilon)
    graph.tensor(layer.name, _shape(layer))
    graph.operator(operator, version, options, layer.inputs, constants, layer.name)


def _operator(layer: Layer, own: Mapping[str, np.ndarray], epsilon: float) -> tuple[int, Any, list[np.ndarray], int]:
    """Builtin operator, its options, its constant inputs in order, and the version that it needs."""
    builtin, activation = tfl.BuiltinOperator, _ACTIVATIONS[layer.activation]
    stride = {"strideH": layer.stride, "strideW": layer.stride}
    match layer.kind:
        case "convolution":
            kernel, bias = _fold(own, epsilon)
            options = tfl.Conv2DOptionsT(padding=tfl.Padding.SAME, fusedActivationFunction=activation, **stride)
            return builtin.CONV_2D, options, [kernel.transpose(3, 0, 1, 2), bias], 1
        case "depthwise":
            kernel, bias = _fold(own, epsilon)
            options = tfl.DepthwiseConv2DOptionsT(
                padding=tfl.Padding.SAME, fusedActivationFunction=activation, depthMultiplier=1, **stride
            )
            return builtin.DEPTHWISE_CONV_2D, options, [kernel[np.newaxis], bias], 1
        case "dense":
            options = tfl.FullyConnectedOptionsT(fusedActivationFunction=activation)
            return builtin.FULLY_CONNECTED, options, [own["kernel"].T, own["bias"]], 1
        case "add":
            return builtin.ADD, tfl.AddOptionsT(fusedActivationFunction=activation), [], 1
        case "pool":
            options = tfl.ReducerOptionsT(keepDims=False)
            return builtin.MEAN, options, [np.array([1, 2], np.int32)], 1


def _fold(own: Mapping[str, np.ndarray], epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of the convolution that does the batch norm too; in float64, then rounded once."""
    wide = {name: weight.astype(np.float64) for name, weight in own.items()}
    scale = wide["gamma"] / np.sqrt(wide["variance"] + epsilon)
    kernel, bias = wide["kernel"] * scale, wide["beta"] - wide["mean"] * scale
    return kernel.astype(np.float32), bias.astype(np.float32)


def _weight(weights: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name not in weights:
        raise WeightsError(f"weights {name!r} are missing; the network needs them in shape {shape}")
    if weights[name].shape != shape:
        raise WeightsError(f"weights {name!r} have shape {weights[name].shape}; the network needs {shape}")
    return np.asarray(weights[name], np.float32)


def _shape(layer: Layer) -> tuple[int, ...]:
    flat = layer.name in (EMBEDDING, LOGITS)
    return (1, layer.channels) if flat else (1, layer.height, layer.width, layer.channels)


class _AlignedBuilder(flatbuffers.Builder):
    """Starts every vector on 16 bytes, as the schema demands of buffers and the generated code forgets."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
        return super().StartVector(elemSize, numElems, max(alignment, 16))


class _Graph:
    """Tensors, buffers and operators as they come, and the model made of them."""

    def __init__(self) -> None:
        self._indices: dict[str, int] = {}
        self._tensors: list[tfl.TensorT] = []
        self._buffers: list[tfl.BufferT] = [tfl.BufferT()]  # the first is the empty one, by the schema
        self._weight_bytes = 0
        self._codes: list[tfl.OperatorCodeT] = []
        self._operators: list[tfl.OperatorT] = []

    def tensor(self, name: str, shape: Sequence[int]) -> None:
        """A tensor that is computed; its first axis is the batch."""
        self._add(
            name,
            tfl.TensorT(
                shape=list(shape),
                shapeSignature=[-1, *shape[1:]],
                type=tfl.TensorType.FLOAT32,
                name=name,
                hasRank=True,
            ),
        )

    def operator(
        self,
        builtin: int,
        version: int,
        options: Any,
        inputs: Sequence[str],
        constants: Sequence[np.ndarray],
        output: str,
    ) -> None:
        indices = [self._indices[name] for name in inputs]
        indices += [self._constant(f"{output}/{place}", value) for place, value in enumerate(constants)]
        self._operators.append(
            tfl.OperatorT(
                opcodeIndex=self._code(builtin, version),
                inputs=indices,
                outputs=[self._indices[output]],
                builtinOptionsType=getattr(tfl.BuiltinOptions, type(options).__name__.removesuffix("T")),
                builtinOptions=options,
            )
        )

    def finish(self, name: str, source: str, output: str) -> bytes:
        subgraph = tfl.SubGraphT(
            name="main",
            tensors=self._tensors,
            operators=self._operators,
            inputs=[self._indices[source]],
            outputs=[self._indices[output]],
        )
        signature = tfl.SignatureDefT(
            signatureKey="serving_default",
            inputs=[tfl.TensorMapT(name=source, tensorIndex=self._indices[source])],
            outputs=[tfl.TensorMapT(name=output, tensorIndex=self._indices[output])],
        )
        model = tfl.ModelT(
            version=3,
            description=name,
            operatorCodes=self._codes,
            subgraphs=[subgraph],
            buffers=self._buffers,
            signatureDefs=[signature],
        )
        builder = _AlignedBuilder(self._weight_bytes + (1 << 16))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _add(self, name: str, tensor: tfl.TensorT) -> int:
        self._tensors.append(tensor)
        self._indices[name] = len(self._tensors) - 1
        return self._indices[name]

    def _constant(self, name: str, value: np.ndarray) -> int:
        data = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        self._buffers.append(tfl.BufferT(data=cast(Any, data.reshape(-1).view(np.uint8))))
        self._weight_bytes += data.nbytes
        kind = tfl.TensorType.INT32 if value.dtype == np.int32 else tfl.TensorType.FLOAT32
        return self._add(
            name,
            tfl.TensorT(shape=list(value.shape), type=kind, name=name, buffer=len(self._buffers) - 1, hasRank=True),
        )

    def _code(self, builtin: int, version: int) -> int:
        for place, code in enumerate(self._codes):
            if (code.builtinCode, code.version) == (builtin, version):
                return place
        # Readers older than the wide code field look at the deprecated one, which ends at 127.
        self._codes.append(
            tfl.OperatorCodeT(builtinCode=builtin, deprecatedBuiltinCode=min(builtin, 127), version=version)
        )
        return len(self._codes) - 1
