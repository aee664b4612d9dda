"""What a supernet needs of a slot: a layer that can be any of the slot's choices, and decides which it is."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, TypeAlias

import numpy as np

from lykeion.nas.design_space.space import Choice, Slot
from lykeion.nets.quiet_keras import keras

Tensor: TypeAlias = Any
"""Of whichever backend Keras runs on."""

ops: Any = keras.ops
"""Untyped: by Keras' annotations every operation may give None, as one backend's stubs do."""

Arrays: TypeAlias = dict[str, np.ndarray]
"""Weights by name, named and shaped as ``lykeion.nets.Layer.weights`` says."""


class SearchableSlot(keras.layers.Layer, ABC):
    """A slot of which every choice can be computed. Its state is a vector, the ``mix``, of ``size`` numbers.

    ``held`` is the mix that counts once the search has settled. A slot that ``approaches`` begins with its slowest
    choice and gets faster, so that the first decision within a target is a good one.
    """

    approaches: ClassVar[bool]

    def __init__(self, slot: Slot, size: int, seed: int) -> None:
        super().__init__(name=f"slot_{slot.position}")
        self.slot = slot
        self.seeds = keras.random.SeedGenerator(seed)
        self.held = self.add_weight(shape=(size,), initializer="zeros", trainable=False, name="held")

    @abstractmethod
    def explored(self, progress: Tensor) -> Tensor:
        """A random mix for the warm-up, of which ``progress`` in [0, 1] has passed; without gradient."""

    @abstractmethod
    def relaxed(self, progress: Tensor) -> Tensor:
        """A mix for the search, of which ``progress`` in [0, 1] has passed; it carries decisions' gradients."""

    @abstractmethod
    def decided(self) -> Tensor:
        """The mix of the one choice that the decision is for now."""

    @abstractmethod
    def usage(self, mix: Tensor) -> Tensor:
        """Differentiable in the mix, and the table's entry where the mix is of one choice."""

    @abstractmethod
    def choice(self, mix: np.ndarray) -> Choice | None:
        """Which choice a decided mix is."""

    @abstractmethod
    def mix_of(self, choice: Choice | None) -> np.ndarray:
        """The decided mix of a choice."""

    @abstractmethod
    def arrays(self, choice: Choice) -> Arrays:
        """A choice's weights, as those of row 0."""

    @abstractmethod
    def watched(self) -> dict[str, float]:
        """The decision in numbers, by name, for the history; above 0 is open, or most likely."""
