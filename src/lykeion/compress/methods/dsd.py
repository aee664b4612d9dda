"""Dense-sparse-dense training (Han et al., arXiv:1607.04381): prune, train, remove the mask, train again.

The input network is the result of the first dense phase. The sparse phase prunes at once, each layer by the same
share, and trains with the mask; the last phase starts the pruned weights from zero and trains all weights at a tenth
of the rate. The result is as large as before: the possible gain is in accuracy. With ``control`` the same network is
trained for as long, by the same two recipes, without the mask; the gain over that is due to DSD itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from lykeion.compress.compressed_model import USUAL, CompressedModel, select
from lykeion.compress.errors import CompressionError
from lykeion.compress.network_files import litert_file
from lykeion.compress.predictions import correct_litert
from lykeion.compress.settings import Between, plain
from lykeion.compress.weights.masks import Structure, masks, reached
from lykeion.core import CONSOLE, Reporter
from lykeion.nets.training import Dataset, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Dsd:
    training: Annotated[Recipe, "Of the sparse phase, as `lykeion train` takes it."]
    sparsity: Annotated[float, "Share of zeros; the paper has 0.25 to 0.5.", Between(0, 1, inside=True)] = 0.3
    layers: Annotated[tuple[str, ...], "Names or kinds; with a leading - taken away."] = USUAL
    dense: Annotated[Recipe | None, "Of the last phase; default: training at a tenth of its learning rate."] = None
    control: Annotated[bool, "Train as long without the mask too, and report the gain over that."] = False

    @property
    def last(self) -> Recipe:
        return self.dense or replace(self.training, learning_rate=self.training.learning_rate / 10)


def plan(model: CompressedModel, settings: Dsd) -> CompressedModel:
    """The model as far as it is known in advance. Raises CompressionError if it cannot be trained."""
    model.check_trainable()
    if shared := sorted(model.clustered.intersection(select(model.architecture, settings.layers))):
        raise CompressionError(f"dsd: {shared[0]} is clustered already; dsd first, or take it out of layers")
    _shares(model, settings)
    return model


def _shares(model: CompressedModel, settings: Dsd) -> dict[str, float]:
    """Shares of zeros in the sparse phase, by layer. Raises CompressionError."""
    shares = dict.fromkeys(select(model.architecture, settings.layers), settings.sparsity)
    return reached(model.kernels, shares, Structure(), "layer", f"dsd: sparsity {settings.sparsity:g}")


def apply(
    model: CompressedModel, data: Dataset, settings: Dsd, run: Path | None = None, reporter: Reporter = CONSOLE
) -> tuple[CompressedModel, Mapping[str, Any]]:
    """The densely trained model; its validation accuracy and, with ``control``, that of the control and the gain.

    Raises CompressionError, TrainingError.
    """
    plan(model, settings)
    shares = _shares(model, settings)
    keep = masks({name: model.kernels[name] for name in shares}, shares, Structure(), "layer")
    zeroed = {f"{name}/kernel": model.kernels[name] * keep[name] for name in shares}
    pruned = replace(model, weights={**model.weights, **zeroed}, sparse=model.sparse.union(shares))
    found = _two_phases(pruned, model.sparse, data, settings, run, "", reporter)
    report = {"validation_accuracy": _accuracy(found, data)}
    if settings.control:
        control = _two_phases(model, model.sparse, data, settings, run, "control-", reporter)
        report |= {"control_accuracy": _accuracy(control, data)}
        report |= {"gain": report["validation_accuracy"] - report["control_accuracy"]}
    return found, report


def _two_phases(
    model: CompressedModel,
    sparse: frozenset[str],
    data: Dataset,
    settings: Dsd,
    run: Path | None,
    prefix: str,
    reporter: Reporter,
) -> CompressedModel:
    from lykeion.compress.trainable.keras_network import fit

    for phase, recipe in (("sparse", settings.training), ("dense", settings.last)):
        directory = run / f"{prefix}{phase}" if run else None
        model, _ = fit(model, data, recipe, directory, settings={"dsd": plain(settings)}, reporter=reporter)
        model = replace(model, sparse=sparse)
    return model


def _accuracy(model: CompressedModel, data: Dataset) -> float:
    return float(correct_litert(litert_file(model), data.validation).mean())
