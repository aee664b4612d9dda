"""An int8 LiteRT file directly from an architecture, its weights and its quantization parameters.

Photos and output stay float32: the first operator quantizes, the last dequantizes, and all others compute in integers
according to TensorFlow Lite's 8-bit quantization specification: int8 kernels with zero point 0 and a scale for
each output channel, int32 biases in units of input scale · kernel scale. Equal inputs give equal bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.litert import Constant, GraphWriter, Quantization

from .architecture import Architecture
from .unrolling import INPUT, LOGITS, Layer, layers

TO_255 = np.float32(1 / 255)
"""A factor, since TensorFlow replaces a division by a constant by one when training, which rounds differently."""
RELU6 = Quantization((float(6 * TO_255),), (-128,))
GATE = Quantization((1 / 255,), (-128,))
"""Of hard-sigmoid before and after the division by 6: the codes are the same."""
_SIXTH = (np.array(127, np.int8), Quantization((1 / 6 / 127,)))
_FUSED = {
    "linear": tfl.ActivationFunctionType.NONE,
    "relu": tfl.ActivationFunctionType.RELU,
    "relu6": tfl.ActivationFunctionType.RELU6,
}


@dataclass(frozen=True, slots=True, eq=False)
class KernelCodes:
    """A kernel as int8 ``codes``, shaped like ``Layer.weights``, ``scales`` float32 (channels), and the folded
    ``bias``, float64 (channels)."""

    codes: np.ndarray
    scales: np.ndarray
    bias: np.ndarray


def quantized_tensors(layer: Layer) -> tuple[str, ...]:
    """Names of the tensors that a layer computes and that need a range, in order."""
    match layer.activation:
        case "hard-swish":
            return f"{layer.name}/linear", layer.name
        case "hard-sigmoid":
            return ()  # RELU6 and GATE
        case _:
            return (layer.name,)


def write_int8(
    architecture: Architecture,
    kernels: Mapping[str, KernelCodes],
    tensors: Mapping[str, Quantization],
    *,
    output: Literal["embedding", "logits"] = "embedding",
) -> bytes:
    """The LiteRT file from photos, float32 (n, height, width, channels), to float32 (n, dimension or classes).

    ``kernels`` has an entry for each layer with weights, by name; ``tensors`` has one for INPUT and for each of
    ``quantized_tensors``.
    """
    graph = GraphWriter()
    builtin, photo = tfl.BuiltinOperator, (architecture.height, architecture.width, architecture.channels)
    network = [layer for layer in layers(architecture) if output == LOGITS or layer.name != LOGITS]
    known = dict(tensors) | {layer.name: GATE for layer in network if layer.activation == "hard-sigmoid"}
    names = {INPUT: f"{INPUT}/int8"} | {output: f"{output}/int8"}
    graph.tensor(INPUT, photo)
    graph.operator(builtin.QUANTIZE, tfl.QuantizeOptionsT(), [INPUT], [], names[INPUT], photo, known[INPUT])
    for layer in network:
        _write_layer(graph, layer, kernels.get(layer.name), known, names)
    last = network[-1]
    graph.operator(builtin.DEQUANTIZE, tfl.DequantizeOptionsT(), [names[output]], [], output, last.shape, version=2)
    return graph.finish(architecture.name, INPUT, output)


def _write_layer(
    graph: GraphWriter,
    layer: Layer,
    kernel: KernelCodes | None,
    known: Mapping[str, Quantization],
    names: Mapping[str, str],
) -> None:
    """As one operator, or two if LiteRT cannot fuse the activation."""
    builtin, shape = tfl.BuiltinOperator, layer.shape
    inputs, name = [names.get(source, source) for source in layer.inputs], names.get(layer.name, layer.name)
    # Before a hard-sigmoid, relu6(x + 3) / 6, the bias adds the 3.
    shift = 3.0 if layer.activation == "hard-sigmoid" else 0.0
    scale = known[layer.inputs[0]].scales[0]
    constants = _constants(layer, kernel, scale, shift) if kernel else []
    if layer.kind == "pool":
        constants = [np.array([1, 2], np.int32)]
    match layer.activation:
        case "hard-swish":
            before = f"{layer.name}/linear"
            operator, version, options = _operator(layer, _FUSED["linear"])
            graph.operator(operator, options, inputs, constants, before, shape, known[before], version)
            options = tfl.HardSwishOptionsT()
            graph.operator(builtin.HARD_SWISH, options, [before], [], name, shape, known[layer.name])
        case "hard-sigmoid":
            before = f"{layer.name}/relu6"
            operator, version, options = _operator(layer, _FUSED["relu6"])
            graph.operator(operator, options, inputs, constants, before, shape, RELU6, version)
            graph.operator(builtin.MUL, tfl.MulOptionsT(), [before], [_SIXTH], name, shape, GATE, 2)
        case fused:
            operator, version, options = _operator(layer, _FUSED[fused])
            graph.operator(operator, options, inputs, constants, name, shape, known[layer.name], version)


def _operator(layer: Layer, activation: int) -> tuple[int, int, Any]:
    """Builtin operator, its version for int8, and its options."""
    builtin, padding = tfl.BuiltinOperator, getattr(tfl.Padding, layer.padding.upper())
    stride = {"strideH": layer.stride, "strideW": layer.stride}
    match layer.kind:
        case "depthwise":
            options = tfl.DepthwiseConv2DOptionsT(
                padding=padding, fusedActivationFunction=activation, depthMultiplier=1, **stride
            )
            return builtin.DEPTHWISE_CONV_2D, 3, options
        case "dense" if layer.vector:
            return builtin.FULLY_CONNECTED, 5, tfl.FullyConnectedOptionsT(fusedActivationFunction=activation)
        case "convolution" | "dense":
            options = tfl.Conv2DOptionsT(padding=padding, fusedActivationFunction=activation, **stride)
            return builtin.CONV_2D, 3, options
        case "add":
            return builtin.ADD, 2, tfl.AddOptionsT(fusedActivationFunction=activation)
        case "multiply":
            return builtin.MUL, 2, tfl.MulOptionsT(fusedActivationFunction=activation)
        case "pool":
            return builtin.MEAN, 2, tfl.ReducerOptionsT(keepDims=not layer.vector)


def _constants(layer: Layer, kernel: KernelCodes, scale: float, shift: float) -> list[Constant]:
    """Kernel and bias in LiteRT's layout; ``scale`` is that of the input."""
    axis = 0
    match layer.kind:
        case "depthwise":
            codes, axis = kernel.codes[np.newaxis], 3
        case "dense":
            # On 1×1 maps, as in squeeze-and-excitation, it is a convolution.
            codes = kernel.codes.T if layer.vector else kernel.codes.T[:, np.newaxis, np.newaxis]
        case _:
            codes = kernel.codes.transpose(3, 0, 1, 2)
    units = kernel.scales.astype(np.float64) * scale
    # Ten significant bits: more would not affect an 8-bit output, but increase the file.
    mantissas, exponents = np.frexp((kernel.bias + shift) / units)
    bias = np.clip(np.rint(np.ldexp(np.rint(mantissas * 1024) / 1024, exponents)), -(2**31), 2**31 - 1)
    return [
        (codes, Quantization(tuple(map(float, kernel.scales)), axis=axis)),
        (bias.astype(np.int32), Quantization(tuple(map(float, units)))),
    ]
