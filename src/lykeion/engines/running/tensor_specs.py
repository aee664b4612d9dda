"""What goes into a network and comes out of it: shapes, types, and the real numbers that integers stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lykeion.litert import Graph, ModelError, Tensor


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor that goes in or comes out. ``shape`` has -1 where any size is welcome, and always for the batch.

    Where its values stand for real numbers, ``quantization`` is (scale, zero point): real = scale · (value − zero).
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    quantization: tuple[float, float] | None = None

    def encode(self, real: np.ndarray) -> np.ndarray:
        """Real numbers as the tensor has them: rounded to the nearest and kept within the type where quantized."""
        if self.quantization is None:
            return real.astype(self.dtype)
        scale, zero = self.quantization
        limits = np.iinfo(self.dtype)
        return np.clip(np.rint(real / scale + zero), limits.min, limits.max).astype(self.dtype)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """The real numbers, float32, that values of the tensor stand for."""
        if self.quantization is None:
            return values.astype(np.float32)
        scale, zero = self.quantization
        return (scale * (values.astype(np.float32) - np.float32(zero))).astype(np.float32)


def specs(graph: Graph) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What goes in and what comes out."""

    def of(places: Sequence[int], names: Sequence[str]) -> tuple[TensorSpec, ...]:
        return tuple(_spec(graph.tensors[place], name) for place, name in zip(places, names, strict=True))

    return of(graph.inputs, graph.input_names), of(graph.outputs, graph.output_names)


def check_batch(batch: np.ndarray, spec: TensorSpec, name: str) -> None:
    """Raises ModelError, which calls the model ``name``, where a batch is not of the input's shape and dtype."""
    fits = batch.ndim == len(spec.shape) and all(
        want in (-1, size) for want, size in zip(spec.shape, batch.shape, strict=True)
    )
    if not fits or batch.size == 0 or batch.dtype != spec.dtype:
        raise ModelError(
            f"{name}: cannot run on {batch.dtype} of shape {batch.shape}: it takes {spec.dtype} of shape {spec.shape}"
        )


def _spec(tensor: Tensor, name: str) -> TensorSpec:
    grid = tensor.quantization
    quantization = (float(grid.scales[0]), float(grid.zero_points[0])) if grid else None
    return TensorSpec(name, (-1, *tensor.shape[1:]), np.dtype(tensor.dtype.name), quantization)
