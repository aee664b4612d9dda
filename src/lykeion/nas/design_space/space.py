"""A search space as plain data: a sequence of slots, and the blocks that each may hold.

A network of the space is a genotype, one choice per slot. The rest is the same for all: the rows before the slots
(``front``), those after them (``back``), and the head.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np

from lykeion.core import Invalid
from lykeion.nets import Activation, Architecture, FullyConnected, InvertedResidual, Row, multiple_of_8

SKIP = "skip"


class SpaceError(Invalid):
    """An unknown space, or a genotype that does not belong to the space; the message names the slot."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An inverted residual: depthwise kernel, expansion of the incoming channels, optional squeeze-and-excitation."""

    kernel: int
    expansion: int
    squeeze: bool = False

    def __str__(self) -> str:
        return f"k{self.kernel}e{self.expansion}" + ("s" if self.squeeze else "")


Genotype: TypeAlias = tuple[Choice | None, ...]
"""One choice per slot; None skips the slot."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one block. ``height``, ``width`` and ``channels_in`` are those of its input.

    The first slot of a stage may change size and channels, and is never skipped.
    """

    position: int
    stage: int
    height: int
    width: int
    channels_in: int
    output: int
    stride: int
    activation: Activation
    choices: tuple[Choice | None, ...]

    def row(self, choice: Choice) -> InvertedResidual:
        """The block as a row of an architecture."""
        expanded = self.channels_in * choice.expansion
        return InvertedResidual(
            expanded,
            self.output,
            choice.kernel,
            self.stride,
            self.activation,
            squeeze=squeezed(expanded) if choice.squeeze else 0,
        )


@dataclass(frozen=True, slots=True)
class Strides:
    """Where maps are halved: the stem, the block before the slots, and the four stages that do so on ImageNet."""

    stem: int
    first: int
    stages: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Space:
    """All networks of one search. ``dataclasses.replace`` may change ``classes`` and ``channels`` (of the photo).

    ``table_of`` names the space whose latency tables apply to this one slot by slot: itself, or the space of which it
    is a small version.
    """

    name: str
    height: int
    width: int
    front: tuple[Row, ...]
    slots: tuple[Slot, ...]
    back: tuple[Row, ...]
    head: tuple[FullyConnected, ...]
    strides: Strides
    classes: int
    channels: int = 3
    table_of: str = ""

    @property
    def size(self) -> int:
        """The number of networks in the space."""
        return prod(len(slot.choices) for slot in self.slots)

    @property
    def offered(self) -> list[str]:
        """All choices that some slot offers, by kernel and expansion."""
        return sorted({str(choice) for slot in self.slots for choice in slot.choices if choice})

    def architecture(self, genotype: Genotype, name: str = "") -> Architecture:
        """The network of a genotype, by default named after it. Raises SpaceError."""
        self.check(genotype)
        blocks = [slot.row(choice) for slot, choice in zip(self.slots, genotype, strict=True) if choice is not None]
        return Architecture(
            name or f"{self.name}:{format_genotype(genotype)}",
            self.height,
            self.width,
            (*self.front, *blocks, *self.back),
            self.classes,
            head=self.head,
            channels=self.channels,
        )

    def check(self, genotype: Genotype) -> None:
        """Raises SpaceError if a slot does not offer the genotype's choice."""
        if len(genotype) != len(self.slots):
            raise SpaceError(
                f"a genotype of {len(genotype)} choices for space {self.name!r}, which has {len(self.slots)} slots; "
                "give one choice a slot"
            )
        for slot, choice in zip(self.slots, genotype, strict=True):
            if choice not in slot.choices:
                offered = ", ".join(format_choice(each) for each in slot.choices)
                raise SpaceError(
                    f"slot {slot.position} of space {self.name!r} cannot be {format_choice(choice)}; use {offered}"
                )

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A network of the space, drawn uniformly."""
        return tuple(slot.choices[rng.integers(len(slot.choices))] for slot in self.slots)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """The genotype with another choice in one random slot that has several. Raises SpaceError."""
        self.check(genotype)
        open_slots = [slot for slot in self.slots if len(slot.choices) > 1]
        slot = open_slots[rng.integers(len(open_slots))]
        others = [choice for choice in slot.choices if choice != genotype[slot.position]]
        return _with(genotype, slot.position, others[rng.integers(len(others))])

    def neighbours(self, genotype: Genotype) -> Iterator[Genotype]:
        """Every genotype that differs in one slot. Raises SpaceError."""
        self.check(genotype)
        for slot in self.slots:
            for choice in slot.choices:
                if choice != genotype[slot.position]:
                    yield _with(genotype, slot.position, choice)


def format_choice(choice: Choice | None) -> str:
    return SKIP if choice is None else str(choice)


def format_genotype(genotype: Genotype) -> str:
    """``k3e6s-skip-k5e3-…``: kernel, expansion, "s" for squeeze-and-excitation; ``parse_genotype`` is the inverse."""
    return "-".join(map(format_choice, genotype))


def parse_genotype(text: str) -> Genotype:
    """Raises SpaceError. ``Space.check`` tells whether a space contains the genotype."""
    return tuple(map(parse_choice, text.strip().split("-")))


def parse_choice(text: str) -> Choice | None:
    """Raises SpaceError."""
    if text == SKIP:
        return None
    match = re.fullmatch(r"k([1-9][0-9]?)e([1-9][0-9]?)(s?)", text)
    if match is None:
        raise SpaceError(f"{text[:40]!r} is no choice of a search space; write k3e6, k5e3s or skip")
    return Choice(int(match[1]), int(match[2]), bool(match[3]))


def squeezed(expanded: int) -> int:
    """Channels inside squeeze-and-excitation: a quarter, in multiples of 8, as in MobileNetV3 (arXiv:1905.02244)."""
    return multiple_of_8(expanded / 4)


@dataclass(frozen=True, slots=True)
class Stage:
    """Slots of equal output, from which the named spaces are defined."""

    output: int
    depth: int
    stride: int
    choices: tuple[Choice, ...]
    activation: Activation


def slots_of(stages: tuple[Stage, ...], height: int, width: int, channels: int) -> tuple[Slot, ...]:
    """The stages' slots, for an input of (height, width, channels). All but the first of a stage may be skipped."""
    slots: list[Slot] = []
    for number, stage in enumerate(stages, 1):
        for place in range(stage.depth):
            stride = 1 if place else stage.stride
            choices = (*stage.choices, None) if place else stage.choices
            slots.append(
                Slot(len(slots), number, height, width, channels, stage.output, stride, stage.activation, choices)
            )
            height, width, channels = -(-height // stride), -(-width // stride), stage.output
    return tuple(slots)


def _with(genotype: Genotype, position: int, choice: Choice | None) -> Genotype:
    return (*genotype[:position], choice, *genotype[position + 1 :])
