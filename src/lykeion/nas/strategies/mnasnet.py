"""MnasNet's reinforcement learning (arXiv:1807.11626): a recurrent controller rewarded by accuracy and latency.

The reward of a child is ACC · (LAT / T)^w with w = −0.07: a network twice as fast may lose about 5 % of its accuracy.
The controller is an Elman network that chooses slot after slot; it learns by REINFORCE with a moving average of
rewards as its baseline and a bonus for entropy (Williams 1992; the paper uses PPO, of which one step on fresh samples
is the same gradient). It is small and written in NumPy, so that a hundred searches can be replayed in a minute.
"""

from pathlib import Path

import numpy as np

from lykeion.core import SILENT, Reporter
from lykeion.nas.design_space.space import Genotype, Space
from lykeion.nas.design_space.table import SlotTable

from .children import Child
from .sampling import search_by_sampling
from .strategy import Budget, FoundNetwork, Problem

EXPONENT = -0.07
UNITS, RATE, ENTROPY, MEMORY = 32, 0.02, 1e-3, 0.8
"""The controller's size, its learning rate (Adam), the entropy's weight, the decay of the baseline."""


class MnasNet:
    name = "mnasnet"

    def search(self, problem: Problem, budget: Budget, run: Path, reporter: Reporter = SILENT) -> FoundNetwork:
        return search_by_sampling(MnasNetSampler, problem, budget, run, reporter)


class MnasNetSampler:
    def __init__(self, space: Space, table: SlotTable, target: float, seed: int) -> None:
        self._space, self._table, self._target = space, table, target
        self._rng = np.random.default_rng(seed)
        self._controller = Controller([len(slot.choices) for slot in space.slots], self._rng)
        self._baseline: float | None = None

    def propose(self) -> Genotype:
        picks = self._controller.sample(self._rng)
        return tuple(slot.choices[pick] for slot, pick in zip(self._space.slots, picks, strict=True))

    def learn(self, child: Child) -> None:
        reward = child.accuracy * (self._table.total(child.genotype) / self._target) ** EXPONENT
        baseline = reward if self._baseline is None else self._baseline
        picks = [slot.choices.index(choice) for slot, choice in zip(self._space.slots, child.genotype, strict=True)]
        self._controller.reinforce(picks, reward - baseline)
        self._baseline = MEMORY * baseline + (1 - MEMORY) * reward


class Controller:
    """A distribution over sequences: h_i = tanh(W h_{i−1} + E_{i, choice i−1}), p_i = softmax(U_i h_i + b_i)."""

    def __init__(self, sizes: list[int], rng: np.random.Generator) -> None:
        self._sizes = sizes
        before = [1, *sizes[:-1]]
        self._weights = {"recurrent": rng.normal(0, UNITS**-0.5, (UNITS, UNITS))}
        for place, (size, incoming) in enumerate(zip(sizes, before, strict=True)):
            self._weights[f"embed{place}"] = rng.normal(0, 0.1, (incoming, UNITS))
            self._weights[f"choose{place}"] = rng.normal(0, 0.1 * UNITS**-0.5, (UNITS, size))
            self._weights[f"bias{place}"] = np.zeros(size)
        self._steps = 0
        self._mean = {name: np.zeros_like(value) for name, value in self._weights.items()}
        self._square = {name: np.zeros_like(value) for name, value in self._weights.items()}

    def sample(self, rng: np.random.Generator) -> list[int]:
        state, picks = np.zeros(UNITS), list[int]()
        for place, size in enumerate(self._sizes):
            state, chances = self._step(place, state, picks[-1] if picks else 0)
            picks.append(int(rng.choice(size, p=chances)))
        return picks

    def reinforce(self, picks: list[int], advantage: float) -> None:
        """One ascent step on advantage · log p(picks) + ENTROPY · entropy, by backpropagation through time."""
        trace = self._forward(picks)
        gradients = {name: np.zeros_like(value) for name, value in self._weights.items()}
        from_later = np.zeros(UNITS)
        for place in reversed(range(len(picks))):
            before, state, chances = trace[place]
            logs = np.log(chances)
            slope = -advantage * chances
            slope[picks[place]] += advantage
            slope -= ENTROPY * chances * (logs - chances @ logs)
            gradients[f"choose{place}"] += np.outer(state, slope)
            gradients[f"bias{place}"] += slope
            inside = (self._weights[f"choose{place}"] @ slope + from_later) * (1 - state**2)
            gradients[f"embed{place}"][picks[place - 1] if place else 0] += inside
            gradients["recurrent"] += np.outer(before, inside)
            from_later = self._weights["recurrent"] @ inside
        self._climb(gradients)

    def _forward(self, picks: list[int]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each slot, the state before, the state, and the probabilities."""
        trace, state = [], np.zeros(UNITS)
        for place in range(len(picks)):
            before = state
            state, chances = self._step(place, before, picks[place - 1] if place else 0)
            trace.append((before, state, chances))
        return trace

    def _step(self, place: int, state: np.ndarray, previous: int) -> tuple[np.ndarray, np.ndarray]:
        state = np.tanh(state @ self._weights["recurrent"] + self._weights[f"embed{place}"][previous])
        scores = state @ self._weights[f"choose{place}"] + self._weights[f"bias{place}"]
        chances = np.exp(scores - scores.max())
        return state, chances / chances.sum()

    def _climb(self, gradients: dict[str, np.ndarray]) -> None:
        """Gradient ascent by Adam (arXiv:1412.6980)."""
        self._steps += 1
        for name, gradient in gradients.items():
            self._mean[name] += 0.1 * (gradient - self._mean[name])
            self._square[name] += 0.001 * (gradient**2 - self._square[name])
            mean = self._mean[name] / (1 - 0.9**self._steps)
            square = self._square[name] / (1 - 0.999**self._steps)
            self._weights[name] += RATE * mean / (np.sqrt(square) + 1e-8)
