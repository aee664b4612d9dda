"""A network whose slots are searched while it trains: the loss, the price of latency, and what is decided when.

Both gradient strategies share it; they differ in their slots. A training has three phases:

1. warm-up: slots are explored at random, latency costs nothing, decisions do not move;
2. search: the loss is cross-entropy + price · log latency. Where a target is asked for, the price follows from it by
   the method of multipliers (Hestenes 1969): with g = log(latency / target), price = max(0, λ + κ·g), and λ grows by
   η·g a step;
3. settling: as soon as the decided network is within the target and close to it, its choices are held; their weights
   train on. The price rises ever faster until that happens.

Everything is state of the model, so that a training that is interrupted goes on as if it had not been.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import keras
import numpy as np
from keras import ops

from lykeion.nas.latency import LatencyTable
from lykeion.nas.space import Genotype, Slot, Space
from lykeion.nets import Architecture, keras_model

from .protocol import SearchError
from .sections import section
from .slots import Arrays, SearchableSlot, Tensor

WARM_UP, SETTLE = 0.25, 0.75
"""Where the phases end, as shares of all steps."""

CLOSE = 0.95
"""A network that settles takes this share of the target at least, or costs nothing."""

KAPPA, ETA = 2.0, 0.02
"""Of the method of multipliers; g is a ratio's logarithm, so they hold for every device."""


class MakeSlot(Protocol):
    def __call__(self, slot: Slot, latency_ms: Sequence[float], *, momentum: float, seed: int) -> SearchableSlot: ...


@dataclass(frozen=True, slots=True)
class Price:
    """What latency costs: a target in ms, or a fixed price."""

    target_ms: float | None = None
    fixed: float = 0.0


class Supernet(keras.Model):
    """From photos, float32 (n, height, width, channels), to logits; in training also decides. ``steps`` are those of
    the whole training. Raises SearchError where the target cannot be met by any network of the space."""

    def __init__(
        self,
        space: Space,
        table: LatencyTable,
        make_slot: MakeSlot,
        price: Price,
        steps: int,
        *,
        momentum: float,
        seed: int,
    ) -> None:
        super().__init__(name="supernet")
        _check_target(space, table, price)
        self.space, self.table, self.price, self.total_steps = space, table, price, steps
        self._front = section(
            "front", space.front, space.height, space.width, space.channels, momentum=momentum, seed=seed
        )
        self._slots = [
            make_slot(
                slot,
                [table.ms(slot, choice) for choice in slot.choices],
                momentum=momentum,
                seed=seed + 1000 * (slot.position + 1),
            )
            for slot in space.slots
        ]
        last = space.slots[-1]
        size = [-(-side // last.stride) for side in (last.height, last.width)]
        back = Architecture("back", *size, space.back, space.classes, head=space.head, channels=last.output)
        self._back = keras_model.build(back, batch_norm_momentum=momentum, seed=seed + 1)
        self._step = self._state("step")
        self._multiplier = self._state("multiplier")
        self._settled = self._state("settled")
        self.build((None, space.height, space.width, space.channels))

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        mixes = self._decide() if training else self._decisions()
        hidden = self._front(inputs, training=training)
        for slot, mix in zip(self._slots, mixes, strict=True):
            hidden = slot(hidden, mix, training=training)
        return self._back(hidden, training=training)

    def genotype(self) -> Genotype:
        """What is decided now."""
        decisions = [ops.convert_to_numpy(mix) for mix in self._decisions()]
        return tuple(slot.choice(mix) for slot, mix in zip(self._slots, decisions, strict=True))

    def latency_ms(self) -> float:
        """Of the decided network, through the slots, as the search sees it."""
        return float(ops.convert_to_numpy(self._total_ms(self._decisions())))

    def hold(self, genotype: Genotype) -> None:
        """Decide for a genotype, whatever was decided; it is what is computed from now on. Raises SpaceError."""
        self.space.check(genotype)
        for slot, choice in zip(self._slots, genotype, strict=True):
            slot.held.assign(slot.mix_of(choice))
        self._settled.assign(1.0)

    def state(self) -> dict[str, float]:
        """Step, λ, and whether the search has settled."""
        parts = {"step": self._step, "multiplier": self._multiplier, "settled": self._settled}
        return {name: float(ops.convert_to_numpy(value)) for name, value in parts.items()}

    def watched(self) -> dict[str, dict[str, float]]:
        """The decisions in numbers, a slot."""
        return {str(slot.slot.position): slot.watched() for slot in self._slots}

    def weights_of(self, genotype: Genotype) -> Arrays:
        """The weights that a network of the space inherits, by its architecture's names. Raises SpaceError."""
        self.space.check(genotype)
        taken = [(slot, choice) for slot, choice in zip(self._slots, genotype, strict=True) if choice is not None]
        ahead = len(self.space.front)
        weights = dict(keras_model.weights_of(self._front))
        for position, (slot, choice) in enumerate(taken, ahead):
            weights |= _at(position, slot.arrays(choice))
        for name, value in keras_model.weights_of(self._back).items():
            row, _, part = name.partition("/")
            weights[f"{int(row) + ahead + len(taken)}/{part}" if row.isdecimal() else name] = value
        return weights

    def _decide(self) -> list[Tensor]:
        """The mixes of a training step; adds latency's part of the loss, and moves the state on."""
        step, end = self._step, self.total_steps
        warm, settling = end * WARM_UP, end * SETTLE
        settled, searching = self._settled > 0, (step >= warm) & (self._settled == 0)
        warmed, searched = _passed(step, 0, warm), _passed(step, warm, end)
        mixes, decisions = [], []
        for slot in self._slots:
            decision = ops.where(settled, slot.held, slot.decided())
            free = ops.where(step < warm, slot.explored(warmed), slot.relaxed(searched))
            mixes.append(ops.where(settled, slot.held, free))
            decisions.append(decision)
        latency_ms = self._total_ms(decisions)
        price, gap = self._price(latency_ms, step, settling)
        cost = price * ops.log(self._total_ms(mixes))
        self.add_loss(ops.where(searching, cost, 0.0))
        if self.price.target_ms is not None:
            near = (gap >= np.log(CLOSE)) | (price == 0) | (step >= (settling + end) / 2)
            arrives = searching & (step >= settling) & (gap <= 0) & near
            for slot, decision in zip(self._slots, decisions, strict=True):
                slot.held.assign(decision)
            self._settled.assign(ops.where(arrives, 1.0, self._settled))
            moved = ops.maximum(self._multiplier + ETA * gap * (1 + self._haste(step, settling)), 0.0)
            self._multiplier.assign(ops.where(searching, moved, self._multiplier))
        self._step.assign(step + 1.0)
        return mixes

    def _decisions(self) -> list[Tensor]:
        settled = self._settled > 0
        return [ops.where(settled, slot.held, slot.decided()) for slot in self._slots]

    def _price(self, latency_ms: Tensor, step: Tensor, settling: float) -> tuple[Tensor, Tensor]:
        """The price of log latency, and g, without gradients."""
        if self.price.target_ms is None:
            return ops.convert_to_tensor(self.price.fixed), ops.zeros(())
        gap = ops.stop_gradient(ops.log(latency_ms / self.price.target_ms))
        return ops.maximum(self._multiplier + KAPPA * gap, 0.0), gap

    def _haste(self, step: Tensor, settling: float) -> Tensor:
        """0 until settling begins, 10 at the end."""
        return 10 * _passed(step, settling, self.total_steps)

    def _total_ms(self, mixes: list[Tensor]) -> Tensor:
        return self.table.rest_ms + sum(slot.latency_ms(mix) for slot, mix in zip(self._slots, mixes, strict=True))

    def _state(self, name: str) -> Tensor:
        return self.add_weight(shape=(), initializer="zeros", trainable=False, name=name)


def recalibrate(model: keras.Model, batches: list[np.ndarray]) -> None:
    """Set batch norm's statistics of a model to averages over batches of photos, whatever they were.

    A moving average that starts from 0 lacks momentum^steps of its weight; it is divided by the rest.
    """
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        for statistic in (norm.moving_mean, norm.moving_variance):
            statistic.assign(ops.zeros_like(statistic))
    for batch in batches:
        model(batch, training=True)
    for norm in norms:
        for statistic in (norm.moving_mean, norm.moving_variance):
            statistic.assign(statistic / (1 - norm.momentum ** len(batches)))


def _check_target(space: Space, table: LatencyTable, price: Price) -> None:
    if price.target_ms is None:
        return
    least = table.rest_ms + sum(min(table.ms(slot, choice) for choice in slot.choices) for slot in space.slots)
    if least > price.target_ms:
        raise SearchError(
            f"no network of space {space.name!r} takes {price.target_ms:g} ms on {table.profile.name}: "
            f"the fastest takes {least:.4g} ms; ask for more"
        )


def _passed(step: Tensor, start: float, end: float) -> Tensor:
    """How much of the steps from ``start`` to ``end`` has passed, in [0, 1]."""
    return ops.clip((step - start) / max(end - start, 1.0), 0.0, 1.0)


def _at(position: int, arrays: Arrays) -> Arrays:
    """Those of row 0, as those of another row."""
    return {f"{position}/{name.partition('/')[2]}": value for name, value in arrays.items()}
