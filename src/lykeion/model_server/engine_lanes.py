"""Engines of one model for a number of lanes, each of which runs them from a thread of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lykeion.engines import Engine, ModelError

from .errors import EngineFailed
from .row_queue import Outputs, RowPiece, RowPlan


@dataclass(frozen=True, slots=True)
class LaneEngines:
    """``wide`` has several threads and is shared: it runs while no other engine does. It may be ``single``, as may
    ``batch``, which sees full batches only."""

    single: Engine
    batch: Engine
    wide: Engine

    def run(self, pieces: Sequence[RowPiece], plan: RowPlan, *, alone: bool) -> list[Outputs]:
        """The outputs of each piece. Raises EngineFailed."""
        count = sum(piece.rows for piece in pieces)
        values = joined(pieces, plan.together if count > 1 else 1)
        engine = self.batch if count > 1 else self.wide if alone else self.single
        try:
            found = engine.run(*values)
        except ModelError as error:
            raise EngineFailed(str(error)) from error
        return divided(found, pieces)


def load_lanes(load: Callable[[int], Engine], lanes: int, threads: int, plan: RowPlan) -> list[LaneEngines]:
    """``load`` is given a number of threads; ``threads`` is that of the engine for a request that is alone. Raises
    ModelError, Unsupported."""
    wide = load(threads) if threads > 1 else None
    found: list[LaneEngines] = []
    for _ in range(lanes):
        single = load(1)
        found.append(LaneEngines(single, load(1) if plan.together > 1 else single, wide or single))
    return found


def joined(pieces: Sequence[RowPiece], rows: int) -> list[np.ndarray]:
    """The inputs of all pieces, with zeros up to so many rows; not copied where one piece has them all."""
    if len(pieces) == 1 and pieces[0].rows == rows:
        return list(pieces[0].values)
    found: list[np.ndarray] = []
    for parts in zip(*(piece.values for piece in pieces), strict=True):
        whole = np.zeros((rows, *parts[0].shape[1:]), parts[0].dtype)
        np.concatenate(parts, out=whole[: sum(map(len, parts))])
        found.append(whole)
    return found


def divided(found: Outputs, pieces: Sequence[RowPiece]) -> list[Outputs]:
    """The inverse of ``joined``, of outputs."""
    parts: list[Outputs] = []
    first = 0
    for piece in pieces:
        parts.append({name: values[first : first + piece.rows] for name, values in found.items()})
        first += piece.rows
    return parts
