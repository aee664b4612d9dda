"""TensorFlow as the reference: each operator of a LiteRT file is run as one of TensorFlow.

An independent implementation of what the fast engines compute, on real numbers; an integer tensor is rounded to its
grid after each operator. Far too slow for serving. Serving code must not import TensorFlow, which takes 1.3 GB, so
it is loaded by name, only here, and only if a user names this engine.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import Unsupported, first_line
from lykeion.core.library_output import quiet_import
from lykeion.engines.running.tensor_specs import check_values, specs
from lykeion.litert import ModelError, Operator, Tensor, read_graph

with quiet_import():
    tf: Any = importlib.import_module("tensorflow")


class TensorFlowEngine:
    """The bytes of a ``.tflite`` file. Raises ModelError; Unsupported, which names the missing operators."""

    def __init__(self, model: bytes, *, threads: int = 1, name: str = "model") -> None:
        if threads != 1:
            raise Unsupported(f"{name}: the reference is not told a number of threads")
        self._name, self._graph = name, read_graph(model, name)
        if lacking := sorted({operator.kind for operator in self._graph.operators} - _OPERATORS.keys()):
            raise Unsupported(f"{name}: the TensorFlow reference lacks {', '.join(lacking)}")
        self.inputs, self.outputs = specs(self._graph)

    def run(self, *given: np.ndarray) -> dict[str, np.ndarray]:
        check_values(given, self.inputs, self._name)
        graph = self._graph
        values = {place: _real(tensor) for place, tensor in enumerate(graph.tensors) if tensor.constant is not None}
        try:
            for place, spec, batch in zip(graph.inputs, self.inputs, given, strict=True):
                values[place] = spec.decode(batch)
            for operator in graph.operators:
                place = operator.outputs[0]
                inputs = [values[source] for source in operator.inputs if source >= 0]
                result = _OPERATORS[operator.kind](inputs, operator, graph.tensors[place])
                values[place] = _rounded(result.numpy() if hasattr(result, "numpy") else result, graph.tensors[place])
        except (ValueError, TypeError, KeyError, AttributeError, IndexError, tf.errors.OpError) as error:
            raise ModelError(f"{self._name}: the TensorFlow reference cannot run it: {first_line(error)}") from None
        return {
            spec.name: spec.encode(values[place]) for spec, place in zip(self.outputs, graph.outputs, strict=True)
        }

    def ready(self, *given: np.ndarray) -> Callable[[], object]:
        self.run(*given)
        return lambda: self.run(*given)

    def close(self) -> None:
        pass


def _real(tensor: Tensor) -> np.ndarray:
    """A constant's real numbers; integers without a grid, such as axes and shapes, are unchanged."""
    values, grid = tensor.constant, tensor.quantization
    assert values is not None
    if grid is None:
        return values.astype(np.float32) if values.dtype.kind == "f" else values
    scales, zeros = grid.along(values.ndim)
    return (scales * (values.astype(np.float64) - zeros)).astype(np.float32)


def _rounded(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    """Values rounded to the tensor's grid, if it has one."""
    if tensor.quantization is None:
        return values
    scale, zero = tensor.quantization.scales[0], tensor.quantization.zero_points[0]
    limits = np.iinfo(tensor.dtype)
    return (scale * (np.clip(np.rint(values / scale) + zero, limits.min, limits.max) - zero)).astype(np.float32)


def _activated(value: Any, options: Any) -> Any:
    kind = tfl.ActivationFunctionType
    functions = {kind.NONE: tf.identity, kind.RELU: tf.nn.relu, kind.RELU6: tf.nn.relu6, kind.TANH: tf.tanh}
    return functions[getattr(options, "fusedActivationFunction", kind.NONE)](value)


def _padding(options: Any) -> str:
    return "SAME" if options.padding == tfl.Padding.SAME else "VALID"


def _convolution(inputs: list[Any], operator: Operator, _: Tensor) -> Any:
    options, (source, kernel, *bias) = operator.options, inputs
    result = tf.nn.conv2d(
        source,
        kernel.transpose(1, 2, 3, 0),
        strides=(options.strideH, options.strideW),
        padding=_padding(options),
        dilations=(options.dilationHFactor, options.dilationWFactor),
    )
    return _activated(result + (bias[0] if bias else 0), options)


def _depthwise(inputs: list[Any], operator: Operator, _: Tensor) -> Any:
    options, (source, kernel, *bias) = operator.options, inputs
    channels = source.shape[3]
    result = tf.nn.depthwise_conv2d(
        source,
        kernel[0].reshape(*kernel.shape[1:3], channels, -1),
        strides=(1, options.strideH, options.strideW, 1),
        padding=_padding(options),
        dilations=(options.dilationHFactor, options.dilationWFactor),
    )
    return _activated(result + (bias[0] if bias else 0), options)


def _dense(inputs: list[Any], operator: Operator, _: Tensor) -> Any:
    source, kernel, *bias = inputs
    result = tf.linalg.matmul(source.reshape(-1, kernel.shape[1]), kernel, transpose_b=True)
    return _activated(result + (bias[0] if bias else 0), operator.options)


def _elementwise(function: str) -> "Callable[[list[Any], Operator, Tensor], Any]":
    return lambda inputs, operator, _: _activated(getattr(tf, function)(*inputs), operator.options)


def _alone(function: "Callable[[Any], Any]") -> "Callable[[list[Any], Operator, Tensor], Any]":
    return lambda inputs, operator, _: function(inputs[0])


def _pool(function: str) -> "Callable[[list[Any], Operator, Tensor], Any]":
    def run(inputs: list[Any], operator: Operator, _: Tensor) -> Any:
        options = operator.options
        window, strides = (options.filterHeight, options.filterWidth), (options.strideH, options.strideW)
        return _activated(getattr(tf.nn, function)(inputs[0], window, strides, _padding(options)), options)

    return run


def _mean(inputs: list[Any], operator: Operator, _: Tensor) -> Any:
    return tf.reduce_mean(inputs[0], axis=tuple(np.atleast_1d(inputs[1])), keepdims=operator.options.keepDims)


def _reshape(inputs: list[Any], _: Operator, output: Tensor) -> Any:
    return inputs[0].reshape(len(inputs[0]), *output.shape[1:])


_OPERATORS: "dict[str, Callable[[list[Any], Operator, Tensor], Any]]" = {
    "ADD": _elementwise("add"),
    "AVERAGE_POOL_2D": _pool("avg_pool2d"),
    "CONCATENATION": lambda inputs, operator, _: tf.concat(inputs, operator.options.axis),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _alone(lambda value: value),
    "DIV": _elementwise("divide"),
    "FULLY_CONNECTED": _dense,
    "HARD_SWISH": _alone(lambda value: value * tf.nn.relu6(value + 3) / 6),
    "L2_NORMALIZATION": _alone(lambda value: tf.math.l2_normalize(value, axis=-1)),
    "LOGISTIC": _alone(lambda value: tf.sigmoid(value)),
    "MAXIMUM": _elementwise("maximum"),
    "MAX_POOL_2D": _pool("max_pool2d"),
    "MEAN": _mean,
    "MINIMUM": _elementwise("minimum"),
    "MUL": _elementwise("multiply"),
    "PAD": lambda inputs, _operator, _output: tf.pad(inputs[0], inputs[1]),
    "QUANTIZE": _alone(lambda value: value),
    "RELU": _alone(lambda value: tf.nn.relu(value)),
    "RELU6": _alone(lambda value: tf.nn.relu6(value)),
    "RESHAPE": _reshape,
    "SOFTMAX": lambda inputs, operator, _: tf.nn.softmax(operator.options.beta * inputs[0]),
    "SQUEEZE": _reshape,
    "SUB": _elementwise("subtract"),
    "TANH": _alone(lambda value: tf.tanh(value)),
}
