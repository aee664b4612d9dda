"""Quantization of a network to int8: the arithmetic that training simulates and the file contains.

Activations: one scale and zero point per tensor, from the lowest and highest number (Jacob et al., arXiv:1712.05877).
Kernels: batch norm folded in, symmetric, one scale per output channel (Krishnamoorthi, arXiv:1806.08342), of 8
significant bits: scales are a tenth of the delivered bytes. A clustered kernel has its codebook on the grid of
integers, the same in all channels: batch norm's factor for a channel is part of the channel's scale.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from lykeion.compress.compressed_model import CompressedModel, kernel_layers
from lykeion.litert import Quantization
from lykeion.nets import TO_255, KernelCodes, Layer, write_int8

SMALLEST_STEP = 1e-6
"""Smallest scale of kernels and activations: with smaller ones, biases would not fit int32."""

TO_127 = np.float32(1 / 127)
"""Like TO_255."""

LEAST_GAIN = 1e-3
"""Smallest gain of batch norm after a clustered kernel: it becomes the scale of the codes, which must be above 0."""


def activation_codes(low: float, high: float) -> Quantization:
    """Quantization of numbers from ``low`` ≤ 0 to ``high`` ≥ 0; zero is exact."""
    least, most = np.float32(low), np.float32(high)  # as in training: the scale is the same to the last bit
    scale = np.maximum((most - least) * TO_255, np.float32(SMALLEST_STEP))
    return Quantization((float(scale),), (int(np.clip(np.rint(np.float32(-128) - least / scale), -128, 127)),))


def kernel_codes(layer: Layer, model: CompressedModel) -> KernelCodes:
    """Kernel, scales and bias of a layer, folded; in float32, because training rounds the same numbers."""
    kernel = model.weights[f"{layer.name}/kernel"]
    scale, bias = fold(layer, model)
    if layer.name in model.clustered:
        step = np.maximum(np.abs(kernel).max() * TO_127, np.float32(SMALLEST_STEP))
        return KernelCodes(
            np.rint(kernel / step).astype(np.int8), short(np.maximum(step * scale, SMALLEST_STEP)), bias
        )
    kernel = kernel * scale
    largest = np.abs(kernel).max(axis=tuple(range(kernel.ndim - 1)))
    steps = short(np.maximum(largest * TO_127, np.float32(SMALLEST_STEP)))
    return KernelCodes(np.rint(kernel / steps).astype(np.int8), steps, bias)


def short(steps: np.ndarray) -> np.ndarray:
    """Positive numbers rounded up to 8 significant bits; float32."""
    mantissas, exponents = np.frexp(steps)
    return np.ldexp(np.ceil(mantissas * 256) / 256, exponents).astype(np.float32)


def fold(layer: Layer, model: CompressedModel) -> tuple[np.ndarray, np.ndarray]:
    """The factor and the offset of batch norm for each output channel; float32 (channels). A dense layer has none."""
    own = {name.rpartition("/")[2]: model.weights[name] for name in layer.weights()}
    if layer.kind == "dense":
        return np.ones(layer.channels, np.float32), own["bias"]
    scale = own["gamma"] * per_deviation(own["variance"], model.architecture.epsilon)
    return scale, own["beta"] - own["mean"] * scale


def per_deviation(variance: np.ndarray, epsilon: float) -> np.ndarray:
    """The factor of batch norm without its gain, float32 (channels)."""
    return np.float32(1) / np.sqrt(variance + np.float32(epsilon))


def write_quantized(
    model: CompressedModel, ranges: Mapping[str, tuple[float, float]], output: Literal["embedding", "logits"]
) -> bytes:
    """The LiteRT file, int8 inside."""
    return write_int8(
        model.architecture,
        {layer.name: kernel_codes(layer, model) for layer in kernel_layers(model.architecture)},
        {name: activation_codes(low, high) for name, (low, high) in ranges.items()},
        output=output,
    )
