"""Structured pruning: whole channels are removed, which leaves a smaller architecture that is dense and faster.

Channels are removed in units of 8, which suits the kernels of engines, starting with the least important of each
group of channels that belong together. A channel's importance is the contribution of its kernels, with batch norm
folded in: the sum of their squares, where it is produced and where it is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from lykeion.compress.compressed_model import CompressedModel, kernel_layers
from lykeion.compress.errors import CompressionError
from lykeion.compress.settings import Between, plain
from lykeion.compress.weights.channels import FIXED, carried_over, channel_groups, without
from lykeion.compress.weights.integers import fold
from lykeion.core import CONSOLE, Reporter
from lykeion.nets import count
from lykeion.nets.training import Dataset, Recipe

UNIT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneChannels:
    multiply_adds: Annotated[float, "Of those there are, the share that stays.", Between(0, 1, inside=True)]
    least: Annotated[float, "Share of its channels that each group keeps.", Between(0, 1)] = 0.25
    training: Annotated[Recipe | None, "Afterwards, as `lykeion train` takes it."] = None


def plan(model: CompressedModel, settings: PruneChannels) -> CompressedModel:
    """The model as far as it is known in advance. Raises CompressionError if it cannot be pruned."""
    model.check_trainable()
    if model.clustered or model.ranges is not None:
        raise CompressionError("prune-channels: the network is clustered or int8 already; take channels away first")
    return model


def apply(
    model: CompressedModel,
    data: Dataset,
    settings: PruneChannels,
    run: Path | None = None,
    reporter: Reporter = CONSOLE,
) -> tuple[CompressedModel, Mapping[str, Any]]:
    """The smaller network, after training, and its channels by group. Raises CompressionError, TrainingError."""
    plan(model, settings)
    kept = choose(model, settings.multiply_adds, settings.least)
    smaller = replace(
        model,
        architecture=without(model.architecture, kept),
        weights=carried_over(model.architecture, model.weights, kept),
    )
    if settings.training is not None:
        from lykeion.compress.trainable.keras_network import fit

        begun = {"prune-channels": plain(settings)}
        smaller, _ = fit(smaller, data, settings.training, run, settings=begun, reporter=reporter)
    return smaller, {"channels": {group: len(places) for group, places in kept.items()}}


def choose(model: CompressedModel, share: float, least: float) -> dict[str, np.ndarray]:
    """The channels of each group to keep, so that at most ``share`` of the multiply-adds is left.

    Units are removed in ascending order of their importance, as a share of their group's, per multiply-add saved.
    Raises CompressionError if ``least`` does not allow it.
    """
    architecture = model.architecture
    whole, scores = count(architecture).multiply_adds, importance(model)
    kept = {group: np.arange(len(score)) for group, score in scores.items()}
    units: list[tuple[float, str, int]] = []
    for group, score in scores.items():
        fewest = max(UNIT, round(least * len(score)))
        # All remaining sizes are multiples of 8: the first unit is the remainder.
        sizes = range((len(score) - 1) // UNIT * UNIT, fewest - 1, -UNIT)
        saved = whole - count(without(architecture, {group: np.arange(max(1, len(score) - UNIT))})).multiply_adds
        ascending = np.sort(score)
        before = len(score)
        for size in sizes:
            lost = ascending[len(score) - before : len(score) - size].sum() / max(score.sum(), 1e-30)
            units.append((float(lost) / max(1, saved), group, size))
            before = size
    # Within a group the sizes decrease, because the importance of its units only increases.
    for _, group, size in sorted(units, key=lambda unit: (unit[0], -unit[2])):
        kept[group] = np.sort(np.argsort(-scores[group], kind="stable")[:size])
        if count(without(architecture, kept)).multiply_adds <= share * whole:
            return kept
    raise CompressionError(
        f"prune-channels: with {least:g} of each group kept, more than {share:g} of the multiply-adds stay; "
        "lower least, or raise multiply_adds"
    )


def importance(model: CompressedModel) -> dict[str, np.ndarray]:
    """Importance of each channel by group, float64 (channels)."""
    groups = channel_groups(model.architecture)
    scores: dict[str, np.ndarray] = {}
    for layer in kernel_layers(model.architecture):
        scale, _ = fold(layer, model)
        squares = (model.weights[f"{layer.name}/kernel"].astype(np.float64) * scale) ** 2
        outgoing = squares.reshape(-1, squares.shape[-1])
        _add(scores, groups[layer.name], outgoing.sum(axis=0) / max(outgoing.sum(), 1e-30))
        if layer.kind != "depthwise":
            incoming = squares.sum(axis=-1).reshape(-1, squares.shape[-2]).sum(axis=0)
            _add(scores, groups[layer.inputs[0]], incoming / max(incoming.sum(), 1e-30))
    return scores


def _add(scores: dict[str, np.ndarray], group: str, score: np.ndarray) -> None:
    if group != FIXED:
        scores[group] = scores.get(group, 0.0) + score
