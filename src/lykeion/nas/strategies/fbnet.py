"""FBNet's differentiable search (arXiv:1812.03443): all candidates of a slot in parallel, mixed by Gumbel-softmax.

A slot's output is the sum of its candidates', weighted by a softmax of trainable logits with Gumbel noise, whose
temperature falls from 5 towards 0.1 as in the paper. Latency is the same weighted sum. Logits and weights learn on
the same batches, at separate learning rates; the paper alternates between two parts of the training set. Its loss,
CE · α · log(LAT)^β, is replaced by that of the Single-Path search here, so that both meet a target in ms.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lykeion.core import SILENT, Reporter
from lykeion.nas.design_space.space import Choice, Slot, format_choice
from lykeion.nets import keras_weights
from lykeion.nets.quiet_keras import keras

from .gradient import Decider, search_by_gradient
from .sections import section
from .slots import Arrays, SearchableSlot, Tensor, ops
from .strategy import Budget, FoundNetwork, Problem

HOTTEST, COOLING = 5.0, 4.0
"""Initial temperature, and the number of powers of e by which it falls."""


class FBNet:
    name = "fbnet"

    def search(self, problem: Problem, budget: Budget, run: Path, reporter: Reporter = SILENT) -> FoundNetwork:
        return search_by_gradient(LOGITS, problem, budget, run, reporter)


class Candidates(SearchableSlot):
    """A slot that holds all its choices. ``usage`` are their costs, in the same order."""

    approaches = False

    def __init__(self, slot: Slot, usage: Sequence[float], *, momentum: float, seed: int) -> None:
        super().__init__(slot, len(slot.choices), seed)
        self._usage = usage
        self._blocks = {
            format_choice(choice): section(
                format_choice(choice),
                (slot.row(choice),),
                slot.height,
                slot.width,
                slot.channels_in,
                momentum=momentum,
                seed=seed + place + 1,
            )
            for place, choice in enumerate(slot.choices)
            if choice is not None
        }
        self._logits = self.add_weight(shape=(len(slot.choices),), initializer="zeros", name="logits")

    def call(self, inputs: Tensor, mix: Tensor, training: bool = False) -> Tensor:
        outputs = [
            inputs if choice is None else self._blocks[format_choice(choice)](inputs, training=training)
            for choice in self.slot.choices
        ]
        return sum(mix[place] * output for place, output in enumerate(outputs))

    def explored(self, progress: Tensor) -> Tensor:
        return self._mixed(ops.zeros((len(self.slot.choices),)), HOTTEST)

    def relaxed(self, progress: Tensor) -> Tensor:
        return self._mixed(self._logits, HOTTEST * ops.exp(-COOLING * progress))

    def decided(self) -> Tensor:
        return ops.one_hot(ops.argmax(self._logits), len(self.slot.choices))

    def usage(self, mix: Tensor) -> Tensor:
        return ops.sum(mix * np.array(self._usage, np.float32))

    def choice(self, mix: np.ndarray) -> Choice | None:
        return self.slot.choices[int(mix.argmax())]

    def mix_of(self, choice: Choice | None) -> np.ndarray:
        return np.eye(len(self.slot.choices), dtype=np.float32)[self.slot.choices.index(choice)]

    def arrays(self, choice: Choice) -> Arrays:
        return keras_weights(self._blocks[format_choice(choice)])

    def watched(self) -> dict[str, float]:
        logits = ops.convert_to_numpy(self._logits)
        names = map(format_choice, self.slot.choices)
        return {
            name: float(logit - np.delete(logits, place).max())
            for place, (name, logit) in enumerate(zip(names, logits, strict=True))
        }

    def _mixed(self, logits: Tensor, temperature: Tensor) -> Tensor:
        even = keras.random.uniform((len(self.slot.choices),), 1e-6, 1 - 1e-6, seed=self.seeds)
        return ops.softmax((logits - ops.log(-ops.log(even))) / temperature)


LOGITS = Decider(Candidates, "logits", rate=1e-2)
