"""A network whose slots are searched while it trains: the loss, the price of latency, and when decisions are made.

Both gradient strategies use it; they differ in their slots. A training has three phases:

1. warm-up: slots are explored at random, latency costs nothing, decisions do not move;
2. search: the loss is cross-entropy + price · log latency. With a target, the price follows by dual ascent: with
   g = log(latency / current limit), log λ grows in proportion to g, and the price is λ · (1 + sinh(κ·g)): far below
   the limit, latency is rewarded. The limit falls from the largest network's latency to the target, so that the
   price rises slowly, and the choices that are worth least are dropped first;
3. settling: as soon as the decided network is within the target and close to it, its choices are fixed, and their
   weights continue to train. Until then the limit falls below the target, and "close" becomes wider.

Everything is state of the model, so that an interrupted training resumes as if it had not been interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lykeion.nas.design_space.space import Genotype, Slot, Space
from lykeion.nas.design_space.table import SlotTable
from lykeion.nets import Architecture, build_keras, keras_weights
from lykeion.nets.quiet_keras import keras

from .sections import section
from .slots import Arrays, SearchableSlot, Tensor, ops

WARM_UP, SETTLE = 0.25, 0.7
"""The ends of the phases, as fractions of all steps."""

CLOSE, BELOW = 0.95, 0.6
"""The least usage at which a network settles, and the limit at the end, as fractions of the target."""

KAPPA, ETA = 10.0, 20.0
"""The immediate response of the price to g; that of λ over time, as a multiple of the decisions' learning rate."""

CHEAP = -2.0
"""Initial log λ. A price that starts too high moves all gates to their edges before it distinguishes them."""

FAR, BOUND = 0.5, 7.0
"""The bounds of |g| and |log λ|."""


class MakeSlot(Protocol):
    def __call__(self, slot: Slot, usage: Sequence[float], *, momentum: float, seed: int) -> SearchableSlot: ...


@dataclass(frozen=True, slots=True)
class Price:
    """What a network's usage costs: a target in the table's unit, or a fixed price."""

    target: float | None = None
    fixed: float = 0.0


class Supernet(keras.Model):
    """From photos, float32 (n, height, width, channels), to logits; in training it also decides.

    ``steps`` are those of the whole training, ``decision_rate`` is the learning rate of decisions. Raises SpaceError
    if no network of the space meets the target.
    """

    def __init__(
        self,
        space: Space,
        table: SlotTable,
        make_slot: MakeSlot,
        price: Price,
        steps: int,
        *,
        decision_rate: float,
        momentum: float,
        seed: int,
    ) -> None:
        super().__init__(name="supernet")
        if price.target is not None:
            table.check_target(price.target)
        _, self._most = table.extremes()
        self.space, self.table, self.price, self.total_steps = space, table, price, steps
        self._decision_rate = decision_rate
        self._front = section(
            "front", space.front, space.height, space.width, space.channels, momentum=momentum, seed=seed
        )
        self._slots = [
            make_slot(
                slot,
                [table.of(slot, choice) for choice in slot.choices],
                momentum=momentum,
                seed=seed + 1000 * (slot.position + 1),
            )
            for slot in space.slots
        ]
        last = space.slots[-1]
        height, width = (-(-side // last.stride) for side in (last.height, last.width))
        back = Architecture("back", height, width, space.back, space.classes, head=space.head, channels=last.output)
        self._back = build_keras(back, batch_norm_momentum=momentum, seed=seed + 1)
        self._step = self._state("step")
        self._log_price = self._state("log_price", CHEAP)
        self._settled = self._state("settled")
        self(ops.zeros((1, space.height, space.width, space.channels)))

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        mixes = self._decide() if training else self._decisions()
        hidden = self._front(inputs, training=training)
        for slot, mix in zip(self._slots, mixes, strict=True):
            hidden = slot(hidden, mix, training=training)
        return self._back(hidden, training=training)

    def genotype(self) -> Genotype:
        """The current decision."""
        decisions = [ops.convert_to_numpy(mix) for mix in self._decisions()]
        return tuple(slot.choice(mix) for slot, mix in zip(self._slots, decisions, strict=True))

    def usage(self) -> float:
        """The cost of the decided network, computed from the slots as in the search."""
        return float(ops.convert_to_numpy(self._total(self._decisions())))

    def hold(self, genotype: Genotype) -> None:
        """Fix the decision to a genotype, which is computed from now on. Raises SpaceError."""
        self.space.check(genotype)
        for slot, choice in zip(self._slots, genotype, strict=True):
            slot.held.assign(slot.mix_of(choice))
        self._settled.assign(1.0)

    def state(self) -> dict[str, float]:
        """Step, log λ, and whether the search has settled."""
        parts = {"step": self._step, "log_price": self._log_price, "settled": self._settled}
        return {name: float(ops.convert_to_numpy(value)) for name, value in parts.items()}

    def watched(self) -> dict[str, dict[str, float]]:
        """The decisions as numbers, for each slot."""
        return {str(slot.slot.position): slot.watched() for slot in self._slots}

    def weights_of(self, genotype: Genotype) -> Arrays:
        """The weights that a network of the space inherits, named as in its architecture. Raises SpaceError."""
        self.space.check(genotype)
        taken = [(slot, choice) for slot, choice in zip(self._slots, genotype, strict=True) if choice is not None]
        ahead = len(self.space.front)
        weights = dict(keras_weights(self._front))
        for position, (slot, choice) in enumerate(taken, ahead):
            weights |= _at(position, slot.arrays(choice))
        for name, value in keras_weights(self._back).items():
            row, _, part = name.partition("/")
            weights[f"{int(row) + ahead + len(taken)}/{part}" if row.isdecimal() else name] = value
        return weights

    def _decide(self) -> list[Tensor]:
        """The mixes of a training step; adds the latency term of the loss, and advances the state."""
        step, warm, end = self._step, self.total_steps * WARM_UP, self.total_steps
        settled, searching = self._settled > 0, (self._step >= warm) & (self._settled == 0)
        warmed, searched = _passed(step, 0, warm), _passed(step, warm, end)
        decisions, mixes = self._decisions(), []
        for slot in self._slots:
            free = ops.where(step < warm, slot.explored(warmed), slot.relaxed(searched))
            mixes.append(ops.where(settled, slot.held.value, free))
        if self.price.target is None:
            price = self.price.fixed
        else:
            price = self._follow(self._total(decisions), self.price.target, searching)
            for slot, decision in zip(self._slots, decisions, strict=True):
                slot.held.assign(decision)
        self.add_loss(ops.where(searching, price * ops.log(self._total(mixes)), 0.0))
        self._step.assign(step + 1.0)
        return mixes

    def _follow(self, usage: Tensor, target: float, searching: Tensor) -> Tensor:
        """The price of log latency at this step; updates λ, and settles if the conditions are met."""
        warm, settling, end = (self.total_steps * share for share in (WARM_UP, SETTLE, 1.0))
        falling, fallen = _passed(self._step, warm, settling), _passed(self._step, settling, end)
        start = np.log(max(self._most, target))
        due = start + falling * (np.log(target) - start) + fallen * np.log(BELOW)
        behind = ops.stop_gradient(ops.clip(ops.log(usage) - due, -FAR, FAR))
        price = ops.exp(self._log_price) * (1 + ops.sinh(KAPPA * behind))
        moved = ops.clip(self._log_price + ETA * self._decision_rate * behind, -BOUND, BOUND)
        self._log_price.assign(ops.where(searching, moved, self._log_price.value))
        share = usage / target
        ready = self._slots[0].approaches | (self._step >= settling)
        arrives = searching & ready & (share <= 1) & (share >= CLOSE - fallen)
        self._settled.assign(ops.where(arrives, 1.0, self._settled.value))
        return price

    def _decisions(self) -> list[Tensor]:
        settled = self._settled > 0
        return [ops.where(settled, slot.held.value, slot.decided()) for slot in self._slots]

    def _total(self, mixes: list[Tensor]) -> Tensor:
        return self.table.rest + sum(slot.usage(mix) for slot, mix in zip(self._slots, mixes, strict=True))

    def _state(self, name: str, start: float = 0.0) -> Tensor:
        return self.add_weight(shape=(), initializer=keras.initializers.Constant(start), trainable=False, name=name)


def _passed(step: Tensor, start: float, end: float) -> Tensor:
    """The fraction of the steps from ``start`` to ``end`` that has passed, in [0, 1]."""
    return ops.clip((step - start) / max(end - start, 1.0), 0.0, 1.0)


def _at(position: int, arrays: Arrays) -> Arrays:
    """Weights of row 0, renamed to those of another row."""
    return {f"{position}/{name.partition('/')[2]}": value for name, value in arrays.items()}
