"""A compression as a recipe: a YAML file with a list of steps, read strictly and without Keras.

schema: lykeion.compression
version: 1
steps:
  - prune: {sparsity: 0.6, training: {epochs: 10, learning_rate: 0.002}}
  - cluster: {clusters: 16, training: {epochs: 3, learning_rate: 0.0005}}
  - qat: {training: {epochs: 3, learning_rate: 0.0002}}
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from lykeion.core import LykeionError, Reporter, read_yaml
from lykeion.core.fields import Field, Fields
from lykeion.nets.training import Dataset, Recipe

from .compressed_model import CompressedModel
from .errors import CompressionError
from .methods import cluster, distill, dsd, prune, prune_channels, qat, quantize
from .settings import check_training, read_settings

SCHEMA = "lykeion.compression"
VERSION = 1
MAX_STEPS = 64

Plan: TypeAlias = Callable[[CompressedModel, Any], CompressedModel]
Apply: TypeAlias = Callable[..., tuple[CompressedModel, Mapping[str, Any]]]

METHODS: dict[str, tuple[type[Any], Plan, Apply]] = {
    "prune": (prune.Prune, prune.plan, prune.apply),
    "prune-channels": (prune_channels.PruneChannels, prune_channels.plan, prune_channels.apply),
    "dsd": (dsd.Dsd, dsd.plan, dsd.apply),
    "distill": (distill.Distill, distill.plan, distill.apply),
    "cluster": (cluster.Cluster, cluster.plan, cluster.apply),
    "qat": (qat.Qat, qat.plan, qat.apply),
    "quantize": (quantize.Quantize, quantize.plan, quantize.apply),
}


@dataclass(frozen=True, slots=True)
class Step:
    """A method and its settings: ``settings`` is the method's dataclass."""

    method: str
    settings: Any

    @property
    def values(self) -> dict[str, Any]:
        """The settings by name."""
        return {name: getattr(self.settings, name) for name in type(self.settings).__dataclass_fields__}

    @property
    def trainings(self) -> dict[str, Recipe]:
        """The settings that are recipes of a training."""
        return {name: value for name, value in self.values.items() if isinstance(value, Recipe)}

    def plan(self, model: CompressedModel) -> CompressedModel:
        """The model after the step as far as it is known in advance. Raises CompressionError if it cannot be done."""
        for name, recipe in self.trainings.items():
            check_training(recipe, name)
        return METHODS[self.method][1](model, self.settings)

    def apply(
        self, model: CompressedModel, data: Dataset, run: Path, *, reporter: Reporter
    ) -> tuple[CompressedModel, Mapping[str, Any]]:
        """The model after the step, and the method's report. Raises what the method raises."""
        return METHODS[self.method][2](model, data, self.settings, run, reporter=reporter)


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


def check_steps(steps: Sequence[Step], model: CompressedModel) -> None:
    """Raises CompressionError, which names the step, if one cannot follow those before it, or reads a missing
    file."""
    for place, step in enumerate(steps):
        try:
            model = step.plan(model)
        except LykeionError as error:
            text = str(error).removeprefix(f"{step.method}: ")
            raise CompressionError(f"steps[{place}] ({step.method}): {text}") from None


def _step(fields: Fields, directory: Path) -> Step:
    if len(fields.values) != 1:
        raise CompressionError(
            f"{fields.where} has {len(fields.values)} methods; a step has one, of {', '.join(METHODS)}"
        )
    fields.only(*METHODS)
    (method,) = fields.values
    where = f"{fields.where} ({method})"
    values = fields.values[method]
    given = Field(where, {} if values is None else values).fields()
    try:
        return Step(method, read_settings(METHODS[method][0], given, directory))
    except CompressionError as error:
        text = str(error)
        raise CompressionError(text if text.startswith(fields.where) else f"{where}: {text}") from None
