"""A compression as a recipe: a YAML file with a list of steps, read strictly and without Keras.

schema: lykeion.compression
version: 1
steps:
  - prune: {sparsity: 0.6, training: {epochs: 10, learning_rate: 0.002}}
  - cluster: {clusters: 16, training: {epochs: 3, learning_rate: 0.0005}}
  - qat: {training: {epochs: 3, learning_rate: 0.0002}}
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from lykeion.core.fields import Field, Fields, read_yaml
from lykeion.nets.training import Dataset

from . import cluster, distill, dsd, prune, prune_channels, qat, quantize
from .errors import CompressionError
from .model import Model
from .settings import read_settings

SCHEMA = "lykeion.compression"
VERSION = 1
MAX_STEPS = 64

Apply: TypeAlias = Callable[..., tuple[Model, Mapping[str, Any]]]

METHODS: dict[str, tuple[type[Any], Apply]] = {
    "prune": (prune.Prune, prune.apply),
    "prune-channels": (prune_channels.PruneChannels, prune_channels.apply),
    "dsd": (dsd.Dsd, dsd.apply),
    "distill": (distill.Distill, distill.apply),
    "cluster": (cluster.Cluster, cluster.apply),
    "qat": (qat.Qat, qat.apply),
    "quantize": (quantize.Quantize, quantize.apply),
}


@dataclass(frozen=True, slots=True)
class Step:
    """``settings`` is the method's own dataclass."""

    method: str
    settings: Any

    def apply(self, model: Model, data: Dataset, run: Path, *, quiet: bool) -> tuple[Model, Mapping[str, Any]]:
        """The model after the step, and what the method reports. Raises what the method raises."""
        return METHODS[self.method][1](model, data, self.settings, run, quiet=quiet)


def read_recipe(path: Path) -> tuple[Step, ...]:
    """The steps of a YAML file; paths in it are relative to it.

    Raises SpecError, CompressionError, which name the step and the setting.
    """
    fields = read_yaml(path)
    fields.only("schema", "version", "steps")
    fields.required("schema", lambda field: field.one_of([SCHEMA]))
    fields.required("version", lambda field: field.number(VERSION, VERSION))
    steps = fields.required("steps", Field.items)
    if not 1 <= len(steps) <= MAX_STEPS:
        raise CompressionError(f"{path}: steps: there are {len(steps)}; give 1 to {MAX_STEPS}")
    return tuple(_step(step.fields(), path.parent) for step in steps)


def _step(fields: Fields, directory: Path) -> Step:
    if len(fields.values) != 1:
        raise CompressionError(
            f"{fields.where} has {len(fields.values)} methods; a step has one, of {', '.join(METHODS)}"
        )
    fields.only(*METHODS)
    (method,) = fields.values
    where = f"{fields.where} ({method})"
    given = Field(where, fields.values[method] or {}).fields()
    try:
        return Step(method, read_settings(METHODS[method][0], given, directory))
    except CompressionError as error:
        text = str(error)
        raise CompressionError(text if text.startswith(fields.where) else f"{where}: {text}") from None
