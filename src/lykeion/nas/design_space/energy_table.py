"""Energy of a network, modelled from its multiply-adds and the bytes that it moves. Nothing is measured.

The model is that of ``engines.choosing``; batch norm is folded into the convolutions.
"""

from collections.abc import Iterable
from math import prod

from lykeion.engines.choosing import Energy, Precision, modelled
from lykeion.nets import INPUT, Architecture, Layer, layers, row_layers

from .space import Choice, Slot, Space
from .table import SlotTable

_BYTES = {"float32": 4, "int8": 1}


def modelled_energy(architecture: Architecture, precision: Precision = "float32") -> Energy:
    """Energy of a whole network for one photo."""
    image = architecture.height * architecture.width * architecture.channels
    return _energy(layers(architecture), image, precision)


class EnergyTable(SlotTable):
    """Modelled energy slot by slot. The sum is ``modelled_energy`` of the network."""

    quantity, unit = "modelled energy", "µJ"

    def __init__(self, space: Space, precision: Precision = "float32") -> None:
        blocks = [{choice: _block_uj(slot, choice, precision) for choice in slot.choices} for slot in space.slots]
        any_network = tuple(slot.choices[0] for slot in space.slots)
        whole = modelled_energy(space.architecture(any_network), precision).total_uj
        in_slots = sum(block[choice] for block, choice in zip(blocks, any_network, strict=True))
        super().__init__(space, f"the energy model, {precision}", whole - in_slots, blocks)


def _block_uj(slot: Slot, choice: Choice | None, precision: Precision) -> float:
    if choice is None:
        return 0.0
    block = row_layers(slot.row(choice), slot.height, slot.width, slot.channels_in)
    return _energy(block, slot.height * slot.width * slot.channels_in, precision).total_uj


def _energy(of: Iterable[Layer], first_input: int, precision: Precision) -> Energy:
    """``first_input`` is the number of values in the input."""
    multiply_adds = weights = activations = 0
    sizes = {INPUT: first_input}
    for layer in of:
        sizes[layer.name] = prod(layer.shape)
        multiply_adds += layer.multiply_adds
        weights += sum(prod(shape) for name, shape in layer.weights().items() if name.endswith(("/kernel", "/bias")))
        weights += layer.channels if layer.kind in ("convolution", "depthwise") else 0  # the folded batch norm's bias
        activations += sizes[layer.name] + sum(sizes[name] for name in layer.inputs)
    size = _BYTES[precision]
    return modelled(multiply_adds, weights * size, activations * size, precision)
