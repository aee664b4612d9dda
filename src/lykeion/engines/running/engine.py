"""The interface of every execution engine: a network that takes batches and returns named outputs."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from .tensor_specs import TensorSpec


class Engine(Protocol):
    """A loaded network. Use it from one thread at a time; for several threads, load several."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, as arrays that the caller owns, for a batch (n, …) of each input's shape and dtype.

        Raises ModelError.
        """
        ...

    def ready(self, *values: np.ndarray) -> Callable[[], object]:
        """Set the inputs and run once; each call of the result runs again without copying: for timing.

        Raises ModelError.
        """
        ...

    def close(self) -> None:
        """Release the memory. The engine cannot be used afterwards."""
        ...
