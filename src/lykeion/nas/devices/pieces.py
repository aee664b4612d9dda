"""What is measured for a profile: each block of a space alone, the parts shared by all networks, a few networks.

Slots that hold the same block share one piece.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from lykeion.nas.design_space.space import Choice, Genotype, Slot, Space, format_choice, format_genotype
from lykeion.nets import Architecture, Convolution, random_weights, row_layers, write_block, write_litert

Piece: TypeAlias = Callable[[], bytes]
"""Writes the LiteRT file whose latency is measured."""

NOTHING = "nothing"
"""A block that does almost nothing: its latency is the overhead of calling the engine."""

FITTED_ON = 12


def pieces(space: Space, networks: int = FITTED_ON) -> dict[str, Piece]:
    """All pieces of a space by name, including ``networks`` whole networks."""
    found: dict[str, Piece] = {NOTHING: lambda: write_block(Convolution(1, 1, activation="linear"), 1, 1, 1)}
    found |= shared(space)
    for slot in space.slots:
        for choice in slot.choices:
            if choice is not None:
                found[block_name(slot, choice)] = _block(slot, choice)
    for genotype in diverse(space, networks):
        found[network_name(genotype)] = _whole(space.architecture(genotype))
    return found


def shared(space: Space) -> dict[str, Piece]:
    """The parts of every network of the space: each row before the slots, and all rows after them as one piece."""
    found: dict[str, Piece] = {}
    height, width, channels = space.height, space.width, space.channels
    for place, row in enumerate(space.front):
        found[f"front-{place}"] = lambda row=row, size=(height, width, channels): write_block(row, *size)
        height, width, channels = row_layers(row, height, width, channels)[-1].shape
    last = space.slots[-1]
    size = (-(-last.height // last.stride), -(-last.width // last.stride))
    behind = Architecture("back", *size, space.back, space.classes, head=space.head, channels=last.output)
    return found | {"back": _whole(behind)}


def block_name(slot: Slot, choice: Choice) -> str:
    """The name of a block: everything that its latency depends on."""
    shape = f"{slot.height}x{slot.width}x{slot.channels_in}-{slot.output}-s{slot.stride}"
    return f"{shape}-{slot.activation}-{format_choice(choice)}"


def network_name(genotype: Genotype) -> str:
    return f"network-{format_genotype(genotype)}"


def diverse(space: Space, networks: int, seed: int = 0) -> tuple[Genotype, ...]:
    """Different networks from small to large; if drawn uniformly, most would cost about the same."""
    rng = np.random.default_rng(seed)
    ranked = [
        sorted(slot.choices, key=lambda choice, slot=slot: _multiply_adds(slot, choice)) for slot in space.slots
    ]
    drawn: dict[Genotype, None] = {}
    for tilt in np.exp(np.linspace(1.5, -1.5, networks)):
        genotype = None
        while genotype is None or genotype in drawn:
            genotype = tuple(choices[int(len(choices) * rng.random() ** tilt)] for choices in ranked)
        drawn[genotype] = None
    return tuple(drawn)


def _whole(architecture: Architecture) -> Piece:
    return lambda: write_litert(architecture, random_weights(architecture), output="logits")


def _block(slot: Slot, choice: Choice) -> Piece:
    return lambda: write_block(slot.row(choice), slot.height, slot.width, slot.channels_in)


def _multiply_adds(slot: Slot, choice: Choice | None) -> int:
    if choice is None:
        return 0
    block = row_layers(slot.row(choice), slot.height, slot.width, slot.channels_in)
    return sum(layer.multiply_adds for layer in block)
