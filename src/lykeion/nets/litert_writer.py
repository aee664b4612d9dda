"""A LiteRT file directly from an architecture and its weights, in milliseconds and without TensorFlow.

The file is a flatbuffer of the TensorFlow Lite schema (identifier TFL3, schema version 3), built with the schema
classes that come with ai-edge-litert. Batch norm is folded into the convolutions. The batch is 1 and may be resized.
Equal inputs give equal bytes; a change of them is a new ``installed.WRITER_VERSION``.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.litert import GraphWriter

from .architecture import Architecture, Row
from .published_weights import WeightsError
from .unrolling import INPUT, LOGITS, Layer, layers, row_layers
from .weights import Weights, random_layer_weights

_FUSED = {
    "linear": tfl.ActivationFunctionType.NONE,
    "relu": tfl.ActivationFunctionType.RELU,
    "relu6": tfl.ActivationFunctionType.RELU6,
}
_SIXTH = np.array(1 / 6, np.float32)


def write_litert(
    architecture: Architecture,
    weights: Weights,
    *,
    output: Literal["embedding", "logits"] = "embedding",
) -> bytes:
    """The LiteRT file of a network from photos, float32 (n, height, width, channels), to one output, float32
    (n, dimension or classes).

    The output is the embedding or the logits; layers that only the other needs are omitted. ``weights`` have the
    names and shapes of ``Layer.weights``. Raises WeightsError.
    """
    graph = GraphWriter()
    graph.tensor(INPUT, (architecture.height, architecture.width, architecture.channels))
    for layer in layers(architecture):
        if output == LOGITS or layer.name != LOGITS:
            _write_layer(graph, layer, weights, architecture.epsilon)
    return graph.finish(architecture.name, INPUT, output)


def write_block(
    row: Row, height: int, width: int, channels: int, *, weights: Weights | None = None, epsilon: float = 1e-3
) -> bytes:
    """The LiteRT file of a single row, from features (n, height, width, channels) to the row's output.

    ``weights`` are named as those of row 0; by default random ones, which take the same time. Raises
    WeightsError.
    """
    block = row_layers(row, height, width, channels)
    weights = random_layer_weights(block) if weights is None else weights
    graph = GraphWriter()
    graph.tensor(INPUT, (height, width, channels))
    for layer in block:
        _write_layer(graph, layer, weights, epsilon)
    return graph.finish(row.kind, INPUT, block[-1].name)


def _write_layer(graph: GraphWriter, layer: Layer, weights: Weights, epsilon: float) -> None:
    """As one operator, or two where the activation is one that LiteRT cannot fuse."""
    own = {name.rpartition("/")[2]: _weight(weights, name, shape) for name, shape in layer.weights().items()}
    builtin, name, shape = tfl.BuiltinOperator, layer.name, layer.shape
    match layer.activation:
        case "hard-swish":
            operator, options, constants = _operator(layer, own, epsilon, _FUSED["linear"])
            graph.operator(operator, options, layer.inputs, constants, f"{name}/linear", shape)
            graph.operator(builtin.HARD_SWISH, tfl.HardSwishOptionsT(), [f"{name}/linear"], [], name, shape)
        case "hard-sigmoid":
            # relu6(x + 3) / 6; the bias adds the 3.
            operator, options, (kernel, bias) = _operator(layer, own, epsilon, _FUSED["relu6"])
            constants = [kernel, bias + np.float32(3)]
            graph.operator(operator, options, layer.inputs, constants, f"{name}/relu6", shape)
            graph.operator(builtin.MUL, tfl.MulOptionsT(), [f"{name}/relu6"], [_SIXTH], name, shape)
        case fused:
            operator, options, constants = _operator(layer, own, epsilon, _FUSED[fused])
            graph.operator(operator, options, layer.inputs, constants, name, shape)


def _operator(
    layer: Layer, own: Mapping[str, np.ndarray], epsilon: float, activation: int
) -> tuple[int, Any, list[np.ndarray]]:
    """Builtin operator, its options, and its constant inputs in order, the bias last."""
    builtin, padding = tfl.BuiltinOperator, getattr(tfl.Padding, layer.padding.upper())
    stride = {"strideH": layer.stride, "strideW": layer.stride}
    match layer.kind:
        case "convolution":
            kernel, bias = _fold(own, epsilon)
            options = tfl.Conv2DOptionsT(padding=padding, fusedActivationFunction=activation, **stride)
            return builtin.CONV_2D, options, [kernel.transpose(3, 0, 1, 2), bias]
        case "depthwise":
            kernel, bias = _fold(own, epsilon)
            options = tfl.DepthwiseConv2DOptionsT(
                padding=padding, fusedActivationFunction=activation, depthMultiplier=1, **stride
            )
            return builtin.DEPTHWISE_CONV_2D, options, [kernel[np.newaxis], bias]
        case "dense" if layer.vector:
            options = tfl.FullyConnectedOptionsT(fusedActivationFunction=activation)
            return builtin.FULLY_CONNECTED, options, [own["kernel"].T, own["bias"]]
        case "dense":
            # On 1×1 maps, as in squeeze-and-excitation: a convolution keeps their shape.
            options = tfl.Conv2DOptionsT(padding=padding, fusedActivationFunction=activation, **stride)
            return builtin.CONV_2D, options, [own["kernel"].T[:, np.newaxis, np.newaxis], own["bias"]]
        case "add":
            return builtin.ADD, tfl.AddOptionsT(fusedActivationFunction=activation), []
        case "multiply":
            return builtin.MUL, tfl.MulOptionsT(fusedActivationFunction=activation), []
        case "pool":
            options = tfl.ReducerOptionsT(keepDims=not layer.vector)
            return builtin.MEAN, options, [np.array([1, 2], np.int32)]


def _fold(own: Mapping[str, np.ndarray], epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of the convolution with the batch norm folded in; in float64, then rounded once."""
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
