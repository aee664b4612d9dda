"""Weight sharing: all weights of a kernel take few values, which are then trained (Deep Compression,
arXiv:1510.00149, section 3). The weights are trained too: at every step each takes the value of the least cost.

Kernels before a batch norm are first scaled so that each output channel has the same deviation, and batch norm
compensates: one codebook then serves all channels, and in int8 it is the same small set of integers in each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from lykeion.compress.compressed_model import USUAL, CompressedModel, kernel_layers, select
from lykeion.compress.errors import CompressionError
from lykeion.compress.settings import Between, Needs, plain
from lykeion.compress.weights.codebooks import Moving, Start, bit_worth, share
from lykeion.compress.weights.integers import LEAST_GAIN
from lykeion.core import CONSOLE, Reporter
from lykeion.nets.training import Dataset, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    clusters: Annotated[int, "Distinct values in a kernel, zero among them if pruned.", Between(2, 256)] = 16
    start: Annotated[Start, "Where k-means begins."] = "linear"
    bit_price: Annotated[
        float, "How much the bits of a weight count beside its error: 0 is plain k-means.", Between(0, 10)
    ] = 0.5
    moving: Annotated[
        bool,
        "Weights may change their value in training; or the values alone are trained, as in the paper.",
        Needs("training"),
    ] = True
    keep_zeros: Annotated[bool, "Zeros of pruned layers stay zero."] = True
    layers: Annotated[tuple[str, ...], "Names or kinds; with a leading - taken away."] = USUAL
    training: Annotated[Recipe | None, "Of the values, as `lykeion train` takes it; none: as k-means found them."] = (
        None
    )


def plan(model: CompressedModel, settings: Cluster) -> CompressedModel:
    """The model as far as it is known in advance. Raises CompressionError if it cannot be clustered."""
    model.check_trainable()
    if settings.training and settings.moving and model.ranges is not None:
        raise CompressionError("cluster: weights of an int8 network keep their values in training; set moving: false")
    names = set(select(model.architecture, settings.layers))
    if settings.clusters == 2 and settings.keep_zeros and (sparse := sorted(names & model.sparse)):
        raise CompressionError(
            f"cluster: with 2 clusters {sparse[0]}, which is pruned, has one value beside zero; give 3 or more"
        )
    return replace(model, clustered=model.clustered | names)


def apply(
    model: CompressedModel, data: Dataset, settings: Cluster, run: Path | None = None, reporter: Reporter = CONSOLE
) -> tuple[CompressedModel, Mapping[str, Any]]:
    """The clustered model, and the number of values by layer. Raises CompressionError, TrainingError."""
    plan(model, settings)
    names = select(model.architecture, settings.layers)
    model = normalised(model, frozenset(names))
    sparse = model.sparse if settings.keep_zeros else model.sparse - frozenset(names)
    before, weights = model, dict(model.weights)
    for name in names:
        kernel = model.weights[f"{name}/kernel"]
        weights[f"{name}/kernel"] = share(
            kernel, settings.clusters, settings.start, bit_price=settings.bit_price, keep_zeros=name in sparse
        )
    model = replace(model, weights=weights, sparse=sparse, clustered=model.clustered | set(names))
    if settings.training is not None:
        from lykeion.compress.trainable.keras_network import fit

        asked = {"cluster": plain(settings)}
        moving = _moving(before, model, names, settings) if settings.moving else None
        model, _ = fit(model, data, settings.training, run, settings=asked, moving=moving, reporter=reporter)
    return model, {"values": {name: len(np.unique(model.kernels[name])) for name in names}}


def _moving(
    before: CompressedModel, model: CompressedModel, names: Sequence[str], settings: Cluster
) -> dict[str, Moving]:
    """The weights before clustering, and the price of each value's bits."""
    found = {}
    for name in names:
        kernel, shared = before.kernels[name], model.kernels[name]
        if name in model.sparse:
            kernel, shared = kernel[kernel != 0], shared[shared != 0]
        if not len(kernel):  # entirely pruned
            continue
        counts = np.unique(shared, return_counts=True)[1]
        clusters = len(counts) if len(counts) <= 2 else settings.clusters - (name in model.sparse)
        worth = settings.bit_price * bit_worth(kernel, clusters)
        prices = worth * np.log2(counts.sum() / counts)
        found[name] = Moving(before.kernels[name], prices.astype(np.float32))
    return found


def normalised(model: CompressedModel, names: frozenset[str]) -> CompressedModel:
    """The same network, with the named kernels scaled so that each channel has a variance of 1 − ε and a gain
    above 0."""
    weights, epsilon = dict(model.weights), model.architecture.epsilon
    for layer in kernel_layers(model.architecture):
        if layer.name not in names - model.clustered or layer.kind == "dense":
            continue
        own = {name.rpartition("/")[2]: weights[name].astype(np.float64) for name in layer.weights()}
        factor = np.where(own["gamma"] < 0, -1, 1) / np.sqrt(own["variance"] + epsilon)
        changed = {
            "kernel": own["kernel"] * factor,
            "mean": own["mean"] * factor,
            "variance": np.full(layer.channels, 1 - epsilon),
            "gamma": np.maximum(np.abs(own["gamma"]), LEAST_GAIN),
        }
        weights |= {f"{layer.name}/{name}": value.astype(np.float32) for name, value in changed.items()}
    return replace(model, weights=weights)
