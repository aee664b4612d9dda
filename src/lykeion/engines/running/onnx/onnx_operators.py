"""LiteRT's operators as ONNX nodes: each function writes the nodes of one and returns its first output's name."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.litert import Operator

from .onnx_writer import TO_NCHW, OnnxWriter

_AXIS_NCHW = {0: 0, 1: 2, 2: 3, 3: 1}


def _convolution(writer: OnnxWriter, operator: Operator) -> str:
    options, (source, kernel) = operator.options, operator.inputs[:2]
    weights = writer.tensor(kernel)
    depthwise = operator.kind == "DEPTHWISE_CONV_2D"
    # (out, height, width, in per group) and (1, height, width, out) to (out, in per group, height, width)
    order, of_a_group = ((3, 0, 1, 2), 1) if depthwise else (TO_NCHW, weights.shape[3])
    if weights.constant is not None:
        value = writer.constant(weights, order)
    else:  # dequantized in the graph, and transposed like a feature map
        value = writer.value(kernel)
        value = writer.node("Transpose", [value], perm=(1, 0, 2, 3)) if depthwise else value
    inputs = [writer.value(source), value]
    inputs += [writer.value(operator.inputs[2])] if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else []
    window, dilations = weights.shape[1:3], (options.dilationHFactor, options.dilationWFactor)
    strides = (options.strideH, options.strideW)
    result = writer.node(
        "Conv",
        inputs,
        group=writer.tensor(source).shape[3] // of_a_group,
        kernel_shape=window,
        strides=strides,
        dilations=dilations,
        pads=_pads(writer, source, window, strides, dilations, options.padding),
    )
    return writer.activated(result, options.fusedActivationFunction, operator.outputs[0])


def _pads(
    writer: OnnxWriter,
    source: int,
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: int,
) -> list[int]:
    """Top and left, then bottom and right; of an odd number the larger part comes last, as in TensorFlow."""
    before, after = [], []
    for axis in (0, 1):
        size, reach = writer.tensor(source).shape[1 + axis], (window[axis] - 1) * dilations[axis] + 1
        missing = 0
        if padding == tfl.Padding.SAME:
            if size < 0:
                raise writer.unsupported("padding of maps whose size is open")
            missing = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0)
        before.append(missing // 2)
        after.append(missing - missing // 2)
    return before + after


def _dense(writer: OnnxWriter, operator: Operator) -> str:
    source, kernel = operator.inputs[:2]
    width = writer.tensor(kernel).shape[1]
    if operator.options.keepNumDims and writer.rank(source) != 2:
        raise writer.unsupported("a dense layer that keeps more than two axes")
    inputs = [writer.rows(source, width) if writer.rank(source) != 2 else writer.value(source), writer.value(kernel)]
    inputs += [writer.value(operator.inputs[2])] if len(operator.inputs) > 2 and operator.inputs[2] >= 0 else []
    return writer.activated(
        writer.node("Gemm", inputs, transB=1), operator.options.fusedActivationFunction, operator.outputs[0]
    )


def _elementwise(kind: str) -> Callable[[OnnxWriter, Operator], str]:
    def write(writer: OnnxWriter, operator: Operator) -> str:
        rank = writer.rank(operator.outputs[0])
        values = []
        for place in operator.inputs:
            tensor = writer.tensor(place)
            if rank == 4 and len(tensor.shape) not in (0, 4):
                if tensor.constant is None or len(tensor.shape) != 1:
                    raise writer.unsupported(f"{operator.kind} of tensors with {len(tensor.shape)} and 4 axes")
                values.append(writer.constant(tensor, (0,), (-1, 1, 1)))
            else:
                values.append(writer.value(place))
        fused = getattr(operator.options, "fusedActivationFunction", tfl.ActivationFunctionType.NONE)
        return writer.activated(writer.node(kind, values), fused, operator.outputs[0])

    return write


def _alone(kind: str, **attributes: Any) -> Callable[[OnnxWriter, Operator], str]:
    return lambda writer, operator: writer.node(kind, [writer.value(operator.inputs[0])], **attributes)


def _mean(writer: OnnxWriter, operator: Operator) -> str:
    source, axes = operator.inputs[0], writer.tensor(operator.inputs[1]).constant
    rank = writer.rank(source)
    places = sorted(int(axis) % rank for axis in np.atleast_1d(axes)) if axes is not None else []
    if rank != 4 or places != [1, 2]:
        raise writer.unsupported("MEAN over other axes than height and width")
    pooled = writer.node("GlobalAveragePool", [writer.value(source)])
    return pooled if operator.options.keepDims else writer.node("Flatten", [pooled])


def _pool(kind: str) -> Callable[[OnnxWriter, Operator], str]:
    def write(writer: OnnxWriter, operator: Operator) -> str:
        options, source = operator.options, operator.inputs[0]
        window, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
        result = writer.node(
            kind,
            [writer.value(source)],
            kernel_shape=window,
            strides=strides,
            pads=_pads(writer, source, window, strides, (1, 1), options.padding),
        )
        return writer.activated(result, options.fusedActivationFunction, operator.outputs[0])

    return write


def _last_axis(kind: str) -> Callable[[OnnxWriter, Operator], str]:
    def write(writer: OnnxWriter, operator: Operator) -> str:
        source = operator.inputs[0]
        return writer.node(kind, [writer.value(source)], axis=1 if writer.rank(source) == 4 else -1)

    return write


def _softmax(writer: OnnxWriter, operator: Operator) -> str:
    if operator.options.beta != 1:
        raise writer.unsupported(f"SOFTMAX with beta {operator.options.beta}")
    return _last_axis("Softmax")(writer, operator)


def _reshape(writer: OnnxWriter, operator: Operator) -> str:
    source, shape = operator.inputs[0], writer.tensor(operator.outputs[0]).shape
    if len(shape) == 2:
        return writer.rows(source, shape[1])
    if len(shape) == 4 and shape[1:3] == (1, 1):
        value = writer.rows(source, shape[3])
        return writer.node("Reshape", [value, writer.keep(np.array([-1, shape[3], 1, 1], np.int64))])
    raise writer.unsupported(f"{operator.kind} to {len(shape)} axes")


def _pad(writer: OnnxWriter, operator: Operator) -> str:
    source, amounts = operator.inputs[0], writer.tensor(operator.inputs[1]).constant
    if amounts is None or writer.rank(source) != 4:
        raise writer.unsupported("PAD other than of maps by constant amounts")
    turned = amounts[list(TO_NCHW)].astype(np.int64)
    return writer.node("Pad", [writer.value(source), writer.keep(turned.T.reshape(-1))])


def _concatenate(writer: OnnxWriter, operator: Operator) -> str:
    rank = writer.rank(operator.outputs[0])
    axis = operator.options.axis % rank
    values = [writer.value(place) for place in operator.inputs]
    return writer.node("Concat", values, axis=_AXIS_NCHW[axis] if rank == 4 else axis)


OPERATORS: dict[str, Callable[[OnnxWriter, Operator], str]] = {
    "ADD": _elementwise("Add"),
    "AVERAGE_POOL_2D": _pool("AveragePool"),
    "CONCATENATION": _concatenate,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "DEQUANTIZE": lambda writer, operator: writer.value(operator.inputs[0]),
    "DIV": _elementwise("Div"),
    "FULLY_CONNECTED": _dense,
    "HARD_SWISH": _alone("HardSwish"),
    "L2_NORMALIZATION": _last_axis("LpNormalization"),
    "LOGISTIC": _alone("Sigmoid"),
    "MAXIMUM": _elementwise("Max"),
    "MAX_POOL_2D": _pool("MaxPool"),
    "MEAN": _mean,
    "MINIMUM": _elementwise("Min"),
    "MUL": _elementwise("Mul"),
    "PAD": _pad,
    "QUANTIZE": lambda writer, operator: writer.value(operator.inputs[0]),
    "RELU": _alone("Relu"),
    "RELU6": lambda writer, operator: writer.activated(
        writer.value(operator.inputs[0]), tfl.ActivationFunctionType.RELU6, operator.outputs[0]
    ),
    "RESHAPE": _reshape,
    "SOFTMAX": _softmax,
    "SQUEEZE": _reshape,
    "SUB": _elementwise("Sub"),
    "TANH": _alone("Tanh"),
}
