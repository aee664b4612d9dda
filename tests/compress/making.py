"""Networks, photos and compressed states that several tests need; nothing here needs Keras."""

from dataclasses import replace

import numpy as np

from lykeion.compress import CompressedModel, select
from lykeion.compress.compressed_model import USUAL
from lykeion.compress.methods.cluster import normalised
from lykeion.compress.weights.codebooks import share
from lykeion.compress.weights.masks import Structure, masks
from lykeion.nets import INPUT, Architecture, Convolution, FullyConnected, InvertedResidual, layers, quantized_tensors
from tests.nets.making import lively_weights

ARCHITECTURE = Architecture(
    "small",
    16,
    16,
    (
        Convolution(16, 3, stride=2, activation="hard-swish"),
        InvertedResidual(48, 16, 3, squeeze=16, activation="hard-swish"),
        InvertedResidual(64, 24, 5, stride=2),
        InvertedResidual(96, 24, 3),
        Convolution(64, 1),
    ),
    classes=10,
    head=(FullyConnected(32, "hard-swish"),),
)
"""Has every kind of layer: squeeze-and-excitation, residuals, a head, each activation."""


def dense(architecture: Architecture = ARCHITECTURE, seed: int = 0) -> CompressedModel:
    return CompressedModel(architecture, lively_weights(architecture, seed))


def pruned(model: CompressedModel, share: float = 0.6) -> CompressedModel:
    names = select(model.architecture, USUAL)
    keep = masks({name: model.kernels[name] for name in names}, dict.fromkeys(names, share), Structure(), "layer")
    zeroed = {f"{name}/kernel": model.kernels[name] * keep[name] for name in names}
    return replace(model, weights={**model.weights, **zeroed}, sparse=frozenset(names))


def clustered(model: CompressedModel, clusters: int = 16) -> CompressedModel:
    names = frozenset(select(model.architecture, USUAL))
    model = normalised(model, names)
    shared = {
        f"{name}/kernel": share(model.kernels[name], clusters, "linear", keep_zeros=name in model.sparse)
        for name in names
    }
    return replace(model, weights={**model.weights, **shared}, clustered=names)


def quantized(model: CompressedModel) -> CompressedModel:
    """With ranges made up, wide enough for most numbers."""
    ranges = {INPUT: (-1.01, 1.01)}
    for layer in layers(model.architecture):
        for name in quantized_tensors(layer):
            ranges[name] = (0.0, 6.0) if layer.activation == "relu6" else (-6.0, 6.0)
    return replace(model, ranges=ranges)


def every_state() -> dict[str, CompressedModel]:
    model = dense()
    shared = clustered(pruned(model))
    return {
        "dense": model,
        "pruned": pruned(model),
        "clustered": clustered(model),
        "pruned and clustered": shared,
        "int8": quantized(model),
        "pruned, clustered, int8": quantized(shared),
    }


def worst(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference, as a share of the largest number."""
    return float(np.abs(first - second).max() / np.abs(first).max())
