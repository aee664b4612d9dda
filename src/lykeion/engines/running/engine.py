"""What every execution engine offers: a network that takes batches and gives named outputs."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from .tensor_specs import TensorSpec


class Engine(Protocol):
    """A loaded network. It is used by one thread at a time; for several threads, load several."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs by name, as arrays of the caller's own, for a batch (n, …) of each input's shape and dtype.

        Raises ModelError.
        """
        ...

    def ready(self, *values: np.ndarray) -> Callable[[], object]:
        """Set the inputs and run once; each call of what this gives runs again and copies nothing: for timing.

        Raises ModelError.
        """
        ...

    def close(self) -> None:
        """Give the memory back. The engine is of no use afterwards."""
        ...
