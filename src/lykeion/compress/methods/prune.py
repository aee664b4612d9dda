"""Magnitude pruning: small weights become zero, gradually, while training continues.

The share of zeros follows the cubic schedule of Zhu and Gupta (arXiv:1710.01878). Zeros are kept by a constraint in
the compiled step. Zeros save bytes, but no time on dense engines; to save time, see ``prune_channels``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from lykeion.compress.compressed_model import USUAL, CompressedModel, select
from lykeion.compress.errors import CompressionError
from lykeion.compress.sensitivity import Sensitivity
from lykeion.compress.settings import Between, Needs, plain
from lykeion.compress.weights.masks import Scope, Structure, masks, reached
from lykeion.core import CONSOLE, Reporter
from lykeion.nets.training import Dataset, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    sparsity: Annotated[float | None, "Share of zeros at the end.", Between(0, 1, inside=True)] = None
    scope: Annotated[Scope, "The same share in each layer, or one share of all weights (LAMP scores)."] = "layer"
    structure: Annotated[str, "unstructured; N:M keeps N of each M; RxC makes blocks zero."] = "unstructured"
    layers: Annotated[tuple[str, ...], "Names or kinds; with a leading - taken away."] = USUAL
    sensitivity: Annotated[Path | None, "A scan by `lykeion compress sensitivity`: a share for each layer."] = None
    loss: Annotated[
        float,
        "Of accuracy, alone, by which a layer's share is chosen from the scan.",
        Between(0, 1),
        Needs("sensitivity"),
    ] = 0.01
    ramp: Annotated[
        float, "Share of the steps in which the share of zeros grows.", Between(0, 1), Needs("training")
    ] = 0.5
    updates: Annotated[int, "How often it grows.", Between(1, 10_000), Needs("training")] = 50
    training: Annotated[Recipe | None, "As `lykeion train` takes it; none: zeros at once, untrained."] = None

    def __post_init__(self) -> None:
        given = [self.sparsity is not None, self.sensitivity is not None, Structure.parse(self.structure).of > 1]
        if sum(given) != 1:
            raise CompressionError("prune: give one of sparsity, sensitivity, and a structure N:M")
        if self.scope == "global" and self.sparsity is None:
            raise CompressionError("prune: scope global goes with sparsity; other settings give each layer its share")


def plan(model: CompressedModel, settings: Prune) -> CompressedModel:
    """The model as far as it is known in advance. Raises CompressionError if it cannot be pruned."""
    return replace(model, sparse=model.sparse.union(_shares(model, settings)))


def apply(
    model: CompressedModel, data: Dataset, settings: Prune, run: Path | None = None, reporter: Reporter = CONSOLE
) -> tuple[CompressedModel, Mapping[str, Any]]:
    """The pruned model, the share of zeros by layer, and the layers in which the structure makes nothing zero.

    Raises CompressionError, TrainingError.
    """
    structure, shares = Structure.parse(settings.structure), _shares(model, settings)
    spared = [name for name in select(model.architecture, settings.layers) if name not in shares]
    if spared:
        reporter.notice(f"notice: prune: nothing becomes zero in {', '.join(spared)}")
    model = replace(model, sparse=model.sparse.union(shares))
    if settings.training is None:
        keep = masks({name: model.kernels[name] for name in shares}, shares, structure, settings.scope)
        changed = {f"{name}/kernel": model.kernels[name] * keep[name] for name in shares}
        model = replace(model, weights={**model.weights, **changed})
    else:
        model = _train(model, data, shares, structure, settings, settings.training, run, reporter)
    zeros = {name: float((model.kernels[name] == 0).mean()) for name in shares}
    return model, {"sparsity": zeros, "spared": spared}


def share_at(progress: float, final: float) -> float:
    """Share of zeros at this point of the ramp, 0 to 1."""
    return final * (1 - (1 - min(progress, 1.0)) ** 3)


def _shares(model: CompressedModel, settings: Prune) -> dict[str, float]:
    """Shares of zeros by layer, without layers that get none. Raises CompressionError if the model cannot be pruned
    so."""
    model.check_trainable()
    names, structure = select(model.architecture, settings.layers), Structure.parse(settings.structure)
    if shared := sorted(model.clustered.intersection(names)):
        raise CompressionError(f"prune: {shared[0]} is clustered already; prune first, or take it out of layers")
    if settings.sensitivity is not None:
        scan = Sensitivity.read(settings.sensitivity, model.architecture.name)
        shares = {name: scan.most("sparsity", name, settings.loss) for name in names}
        if not any(shares.values()):
            raise CompressionError(f"prune: {settings.sensitivity} allows no zeros at a loss of {settings.loss:g}")
    elif structure.of > 1:
        shares = dict.fromkeys(names, 1 - structure.kept / structure.of)
    else:
        shares = dict.fromkeys(names, float(settings.sparsity or 0))
    return reached(model.kernels, shares, structure, settings.scope, f"prune: structure {settings.structure}")


def _train(
    model: CompressedModel,
    data: Dataset,
    shares: Mapping[str, float],
    structure: Structure,
    settings: Prune,
    recipe: Recipe,
    run: Path | None,
    reporter: Reporter,
) -> CompressedModel:
    from lykeion.compress.trainable.keras_network import fit
    from lykeion.compress.trainable.simulated_operators import SimulatedOperator
    from lykeion.nets.quiet_keras import keras

    total = recipe.total_steps(len(data.train))
    ramp = max(1, round(settings.ramp * total))
    every = max(1, ramp // settings.updates)
    begun = {name: model.kernels[name] != 0 for name in shares}

    def callbacks(network: keras.Model) -> list[keras.callbacks.Callback]:
        operators = {
            layer.layer.name: layer
            for layer in network.layers
            if isinstance(layer, SimulatedOperator) and layer.layer.name in shares
        }

        def update(progress: float) -> None:
            kernels = {name: np.asarray(keras.ops.convert_to_numpy(each.kernel)) for name, each in operators.items()}
            now = {name: share_at(progress, share) for name, share in shares.items()}
            for name, keep in masks(kernels, now, structure, settings.scope).items():
                keep = keep & begun[name]  # initial zeros stay zero, even if fewer zeros are due now
                operators[name].mask.assign(keep.astype(np.float32))
                operators[name].kernel.assign(kernels[name] * keep)

        def after_batch(batch: int, logs: Any = None) -> None:
            trained: Any = schedule.model
            step = int(trained.optimizer.iterations)
            if step == ramp or (step < ramp and step % every == 0):
                update(step / ramp)

        schedule = keras.callbacks.LambdaCallback(on_train_batch_end=after_batch)
        return [schedule]

    model, _ = fit(
        model, data, recipe, run, callbacks=callbacks, settings={"prune": plain(settings)}, reporter=reporter
    )
    return model
