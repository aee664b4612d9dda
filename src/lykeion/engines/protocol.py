"""What every execution engine offers: a network that takes a batch and gives named outputs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lykeion.core import LykeionError


class ModelError(LykeionError):
    """A model file that is damaged, or that this engine cannot run; the message names the file."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor that goes in or comes out. ``shape`` has -1 where any size is welcome, and always for the batch."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


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

    def close(self) -> None:
        """Give the memory back. The engine is of no use afterwards."""
        ...
