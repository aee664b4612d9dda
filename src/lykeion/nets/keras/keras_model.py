"""An architecture as a Keras model, on any Keras backend, and its weights in and out. Imports Keras.

Each layer with weights has the same name with ``_`` for ``/``: ``3/expand`` is the Keras layer ``3_expand``, its
batch norm ``3_expand_norm``.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from lykeion.nets.architecture import Activation, Architecture
from lykeion.nets.published_weights import WeightsError
from lykeion.nets.quiet_keras import keras
from lykeion.nets.unrolling import INPUT, LOGITS, Layer, layers
from lykeion.nets.weights import Weights, random_weights

_ACTIVATIONS: dict[Activation, str] = {
    "relu": "relu",
    "relu6": "relu6",
    "hard-swish": "hard_swish",
    "hard-sigmoid": "hard_sigmoid",
}
_WEIGHTS = {"moving_mean": "mean", "moving_variance": "variance"}
_NORM = "_norm"


def build_keras(
    architecture: Architecture,
    *,
    output: Literal["embedding", "logits"] = "logits",
    batch_norm_momentum: float = 0.99,
    dropout: float = 0.0,
    seed: int = 0,
) -> keras.Model:
    """From photos, float32 (n, height, width, channels), to the embedding or the logits (no softmax).

    Its initial weights are those of ``random_weights(architecture, seed)``, the same on every backend. ``dropout`` is
    the rate of dropout between embedding and logits. Batch norm statistics are averages over about
    1 / (1 − ``batch_norm_momentum``) steps, which must be fewer than the training has.
    """
    image = keras.Input((architecture.height, architecture.width, architecture.channels), name=INPUT)
    tensors: dict[str, Any] = {INPUT: image}
    for layer in layers(architecture):
        inputs = [tensors[name] for name in layer.inputs]
        if layer.name == LOGITS:
            if output != LOGITS:
                break
            if dropout:
                inputs = [keras.layers.Dropout(dropout, seed=seed, name="dropout")(inputs[0])]
        tensors[layer.name] = _apply(layer, inputs, architecture.epsilon, batch_norm_momentum)
    model = keras.Model(image, tensors[output], name=_keras_name(architecture.name))
    load_keras_weights(model, random_weights(architecture, seed))
    return model


def keras_weights(model: keras.Model) -> dict[str, np.ndarray]:
    """The weights of a model from ``build``, float32, with the names and shapes of ``Layer.weights``."""
    return {name: _flattened(layer, variable) for name, layer, variable in _variables(model)}


def load_keras_weights(model: keras.Model, weights: Weights) -> None:
    """Set all weights of a model from ``build``; others are ignored. Raises WeightsError."""
    for name, layer, variable in _variables(model):
        shape = _flattened(layer, variable).shape
        if name not in weights:
            raise WeightsError(f"weights {name!r} are missing; the network needs them in shape {shape}")
        if weights[name].shape != shape:
            raise WeightsError(f"weights {name!r} have shape {weights[name].shape}; the network needs {shape}")
        variable.assign(np.reshape(weights[name], variable.shape))


def _apply(layer: Layer, inputs: list[Any], epsilon: float, momentum: float) -> Any:
    name = layer.name.replace("/", "_")
    # ``random_weights`` set these.
    convolution = {"padding": layer.padding, "use_bias": False, "name": name}
    match layer.kind:
        case "convolution":
            made = keras.layers.Conv2D(
                layer.channels, layer.kernel, layer.stride, kernel_initializer="zeros", **convolution
            )(inputs[0])
        case "depthwise":
            made = keras.layers.DepthwiseConv2D(
                layer.kernel, layer.stride, depthwise_initializer="zeros", **convolution
            )(inputs[0])
        case "dense":
            made = keras.layers.Dense(layer.channels, kernel_initializer="zeros", name=name)(inputs[0])
        case "pool":
            made = keras.layers.GlobalAveragePooling2D(keepdims=not layer.vector, name=name)(inputs[0])
        case "add":
            made = keras.layers.Add(name=name)(inputs)
        case "multiply":
            made = keras.layers.Multiply(name=name)(inputs)
    if layer.kind in ("convolution", "depthwise"):
        made = keras.layers.BatchNormalization(epsilon=epsilon, momentum=momentum, name=name + _NORM)(made)
    if layer.activation == "linear":
        return made
    return keras.layers.Activation(_ACTIVATIONS[layer.activation], name=f"{name}_activation")(made)


def _variables(model: keras.Model) -> Iterator[tuple[str, keras.Layer, Any]]:
    for layer in model.layers:
        name = layer.name.removesuffix(_NORM).replace("_", "/")
        for variable in layer.weights:
            yield f"{name}/{_WEIGHTS.get(variable.name, variable.name)}", layer, variable


def _flattened(layer: keras.Layer, variable: Any) -> np.ndarray:
    """A depthwise kernel without Keras' last axis, the depth multiplier."""
    value = np.asarray(keras.ops.convert_to_numpy(variable))
    return value[..., 0] if isinstance(layer, keras.layers.DepthwiseConv2D) else value


def _keras_name(name: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name) or "network"
