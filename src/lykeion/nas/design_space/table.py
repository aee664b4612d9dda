"""The cost of a network, such as latency or energy, slot by slot: the costs of its choices add up."""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from .space import Choice, Genotype, Slot, Space, SpaceError


class SlotTable:
    """The cost of each choice of each slot, and ``rest``, the further cost of every network; all in ``unit``.

    ``name`` is the source of the costs: a device, or a model.
    """

    quantity: ClassVar[str]
    unit: ClassVar[str]

    def __init__(self, space: Space, name: str, rest: float, blocks: Sequence[Mapping[Choice | None, float]]) -> None:
        self.space, self.name, self.rest, self._blocks = space, name, rest, tuple(blocks)

    def of(self, slot: Slot, choice: Choice | None) -> float:
        """What a choice adds to the network's cost. Raises KeyError if the slot does not offer it."""
        return self._blocks[slot.position][choice]

    def total(self, genotype: Genotype) -> float:
        """The cost of a whole network. Raises SpaceError."""
        self.space.check(genotype)
        return self.rest + sum(block[choice] for block, choice in zip(self._blocks, genotype, strict=True))

    def check_target(self, target: float) -> None:
        """Raises SpaceError if every network of the space costs more."""
        least, _ = self.extremes()
        if target < least:
            digit = 10 ** (math.floor(math.log10(least)) - 3)  # the fourth, rounded up to a possible target
            raise SpaceError(
                f"no network of space {self.space.name!r} takes {target:g} {self.unit} by {self.name}; "
                f"the least is {math.ceil(least / digit) * digit:.4g} {self.unit}"
            )

    def extremes(self) -> tuple[float, float]:
        """The costs of the cheapest and of the most expensive network."""
        return (
            self.rest + sum(min(block.values()) for block in self._blocks),
            self.rest + sum(max(block.values()) for block in self._blocks),
        )
