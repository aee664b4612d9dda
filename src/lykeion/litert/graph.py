"""What a LiteRT file computes, as plain data."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Quantization:
    """How integers stand for numbers: number = scale · (integer − zero point).

    One scale for the whole tensor, or one per index along ``axis``; one zero point, or as many.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...] = (0,)
    axis: int = 0

    def along(self, rank: int, axis: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Scales, float32, and zero points, int64, in shapes that broadcast over a tensor of this rank; ``axis`` is
        the current position of the quantized axis."""
        shape = [1] * rank
        if len(self.scales) > 1:
            shape[self.axis if axis is None else axis] = -1
        scales, zeros = np.array(self.scales, np.float32), np.array(self.zero_points, np.int64)
        return scales.reshape(shape), np.broadcast_to(zeros, scales.shape).reshape(shape)


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """``shape`` has -1 for a variable size. A constant has its values in that shape."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    constant: np.ndarray | None
    quantization: Quantization | None


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """``kind`` is the schema's name, such as CONV_2D; an omitted input is -1; ``options`` the schema's."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Any


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """``inputs`` and ``outputs`` are indices of ``tensors``; their names are the signature's if there is one."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
