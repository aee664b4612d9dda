"""A slot's choices as a grid: kernels × expansions × squeeze-and-excitation, or skip, each step behind a gate.

Gates come in a fixed order: one for each kernel above the smallest, one for each expansion above the smallest, one
for squeeze-and-excitation if it is optional, one for the block if it may be skipped. A step is taken when its gate
and those before it on the same axis are open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lykeion.nas.design_space.space import Choice, Slot, squeezed

from .strategy import SearchError


@dataclass(frozen=True, slots=True)
class Grid:
    slot: Slot
    kernels: tuple[int, ...]
    expansions: tuple[int, ...]
    squeezes: tuple[bool, ...]
    skippable: bool

    @classmethod
    def of(cls, slot: Slot) -> "Grid":
        """Raises SearchError if the choices do not form a grid."""
        blocks = [choice for choice in slot.choices if choice is not None]
        axes = [sorted({getattr(each, axis) for each in blocks}) for axis in ("kernel", "expansion", "squeeze")]
        grid = cls(slot, *map(tuple, axes), skippable=None in slot.choices)
        if len(blocks) != len(grid.kernels) * len(grid.expansions) * len(grid.squeezes):
            raise SearchError(
                f"slot {slot.position} offers no grid of kernels, expansions and squeeze-and-excitation, which a "
                "superkernel needs; use strategy fbnet, or one that samples"
            )
        if grid.expansions[0] == 1 and len(grid.expansions) > 1:
            raise SearchError(
                f"slot {slot.position} offers expansion 1, which has no expansion convolution, beside others; a "
                "superkernel cannot be both: use strategy fbnet, or one that samples"
            )
        return grid

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates."""
        return (
            *(f"kernel {kernel}" for kernel in self.kernels[1:]),
            *(f"expansion {expansion}" for expansion in self.expansions[1:]),
            *(["squeeze"] if len(self.squeezes) > 1 else []),
            *(["block"] if self.skippable else []),
        )

    @property
    def channels(self) -> tuple[int, ...]:
        """Expanded channels, for each expansion."""
        return tuple(self.slot.channels_in * expansion for expansion in self.expansions)

    @property
    def hidden(self) -> tuple[int, ...]:
        """Channels inside squeeze-and-excitation, for each expansion."""
        return tuple(map(squeezed, self.channels))

    def axes(self, gates: Any) -> tuple[list[Any], list[Any], list[Any], Any]:
        """``levels`` of kernels, expansions and squeeze, and the block's gate, from a vector of gates."""
        values = [gates[place] for place in range(len(self.gates))]
        kernels, values = values[: len(self.kernels) - 1], values[len(self.kernels) - 1 :]
        expansions, values = values[: len(self.expansions) - 1], values[len(self.expansions) - 1 :]
        squeeze, values = values[: len(self.squeezes) - 1], values[len(self.squeezes) - 1 :]
        return levels(kernels), levels(expansions), levels(squeeze), values[0] if values else 1.0

    def choice(self, gates: np.ndarray) -> Choice | None:
        kernels, expansions, squeeze, block = self.axes(gates)
        if not block:
            return None
        taken = [int(sum(axis)) - 1 for axis in (kernels, expansions, squeeze)]
        return Choice(self.kernels[taken[0]], self.expansions[taken[1]], self.squeezes[taken[2]])

    def gates_of(self, choice: Choice | None) -> np.ndarray:
        """The gates of a choice, open up to its kernel and expansion; all closed for skip."""
        if choice is None:
            return np.zeros(len(self.gates), np.float32)
        opened = [
            *(kernel <= choice.kernel for kernel in self.kernels[1:]),
            *(expansion <= choice.expansion for expansion in self.expansions[1:]),
            *([choice.squeeze] if len(self.squeezes) > 1 else []),
            *([True] if self.skippable else []),
        ]
        return np.array(opened, np.float32)

    def table(self, usage: Sequence[float]) -> np.ndarray:
        """(kernels, expansions, squeezes), from latencies in the order of the slot's choices."""
        found = dict(zip(self.slot.choices, usage, strict=True))
        return np.array(
            [
                [
                    [found[Choice(kernel, expansion, squeeze)] for squeeze in self.squeezes]
                    for expansion in self.expansions
                ]
                for kernel in self.kernels
            ],
            np.float32,
        )

    def rings(self) -> np.ndarray:
        """(kernels, k, k), k the largest: 1 inside a kernel and outside the next smaller one."""
        largest = self.kernels[-1]
        reach = np.maximum(*np.abs(np.mgrid[:largest, :largest] - largest // 2))
        inner = (-1, *(kernel // 2 for kernel in self.kernels[:-1]))
        pairs = zip(inner, self.kernels, strict=True)
        return np.stack([(reach > least) & (reach <= kernel // 2) for least, kernel in pairs]).astype(np.float32)

    def groups(self) -> np.ndarray:
        """(gates, k, k, channels): 1 for the depthwise weights whose magnitude opens a gate.

        They are the ring; the channels above the smaller expansion; for the block, those of the smallest expansion;
        squeeze-and-excitation has separate weights, so its statistic is that of the whole kernel, 1.
        """
        rings, steps = self.rings(), bands(self.channels)
        whole = np.ones((*rings.shape[1:], steps.shape[1]), np.float32)
        found = [
            *(ring[:, :, np.newaxis] * whole for ring in rings[1:]),
            *(step * whole for step in steps[1:]),
            *([whole] if len(self.squeezes) > 1 else []),
            *([steps[0] * whole] if self.skippable else []),
        ]
        return np.array(found, np.float32).reshape(len(self.gates), *whole.shape)


def levels(gates: Sequence[Any]) -> list[Any]:
    """1, then each gate multiplied by those before it: which steps along an axis are taken."""
    reached: list[Any] = [1.0]
    for gate in gates:
        reached.append(reached[-1] * gate)
    return reached


def shares(reached: Sequence[Any]) -> list[Any]:
    """From ``levels``, how much each step is the last one taken; exactly one is 1 if the gates are 0 or 1."""
    return [here - beyond for here, beyond in zip(reached, [*reached[1:], 0.0], strict=True)]


def bands(ends: Sequence[int]) -> np.ndarray:
    """(len(ends), ends[-1]): row i is 1 from the previous end to its own."""
    places, starts = np.arange(ends[-1]), (0, *ends[:-1])
    return np.stack([(places >= start) & (places < end) for start, end in zip(starts, ends, strict=True)]).astype(
        np.float32
    )
