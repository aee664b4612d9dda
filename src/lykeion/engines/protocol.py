"""What every execution engine offers: a network that takes a batch and gives named outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lykeion.core import Invalid


class ModelError(Invalid):
    """A model file that is damaged, or that this engine cannot run; the message names the file."""


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


def check_batch(batch: np.ndarray, spec: TensorSpec, name: str) -> None:
    """Raises ModelError, which calls the model ``name``, where a batch is not of the input's shape and dtype."""
    fits = batch.ndim == len(spec.shape) and all(
        want in (-1, size) for want, size in zip(spec.shape, batch.shape, strict=True)
    )
    if not fits or batch.size == 0 or batch.dtype != spec.dtype:
        raise ModelError(
            f"{name}: cannot run on {batch.dtype} of shape {batch.shape}: it takes {spec.dtype} of shape {spec.shape}"
        )


class Engine(Protocol):
    """A loaded network. It is used by one thread at a time; for several threads, load several."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def run(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, as arrays of the caller's own, for a batch (n, …) of the first input's shape and dtype.

        Raises ModelError.
        """
        ...

    def ready(self, batch: np.ndarray) -> Callable[[], object]:
        """Set the input and run once; each call of what this gives runs again and copies nothing: for timing.

        Raises ModelError.
        """
        ...

    def close(self) -> None:
        """Give the memory back. The engine is of no use afterwards."""
        ...
