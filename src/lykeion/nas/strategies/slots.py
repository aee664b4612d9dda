"""A slot of a supernet: a layer that can be any of the slot's choices, and decides between them."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

import numpy as np

from lykeion.nas.design_space.space import Choice, Slot
from lykeion.nets.quiet_keras import keras

Tensor: TypeAlias = Any
"""A tensor of the backend on which Keras runs."""

ops: Any = keras.ops
"""Untyped: by Keras' annotations every operation may return None, because one backend's stubs do."""

Arrays: TypeAlias = dict[str, np.ndarray]
"""Weights by name, with names and shapes as in ``lykeion.nets.Layer.weights``."""


class SearchableSlot(keras.layers.Layer, ABC):
    """A slot that can compute each of its choices. Its state is a vector, the ``mix``, of ``size`` numbers.

    ``held`` is the mix that is used once the search has settled. A slot that ``approaches`` starts with its slowest
    choice and becomes faster, so that the first decision within a target is a good one.
    """

    approaches: ClassVar[bool]

    def __init__(self, slot: Slot, size: int, seed: int) -> None:
        super().__init__(name=f"slot_{slot.position}")
        self.slot = slot
        self.seeds = keras.random.SeedGenerator(seed)
        self.held = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="held")

    @abstractmethod
    def explored(self, progress: Tensor) -> Tensor:
        """A random mix for the warm-up, whose ``progress`` is in [0, 1]; without gradient."""

    @abstractmethod
    def relaxed(self, progress: Tensor) -> Tensor:
        """A mix for the search, whose ``progress`` is in [0, 1]; it carries the gradients of decisions."""

    @abstractmethod
    def decided(self) -> Tensor:
        """The mix of the choice that is currently decided for."""

    @abstractmethod
    def usage(self, mix: Tensor) -> Tensor:
        """The cost of a mix: differentiable, and equal to the table's entry if the mix is a single choice."""

    @abstractmethod
    def choice(self, mix: np.ndarray) -> Choice | None:
        """The choice of a decided mix."""

    @abstractmethod
    def mix_of(self, choice: Choice | None) -> np.ndarray:
        """The decided mix of a choice."""

    @abstractmethod
    def arrays(self, choice: Choice) -> Arrays:
        """A choice's weights, named as those of row 0."""

    @abstractmethod
    def watched(self) -> dict[str, float]:
        """The decision as numbers by name, for the history; above 0 is open, or most likely."""
