"""Distillation: a network learns from a teacher's logits (Hinton, Vinyals, Dean, arXiv:1503.02531).

A recipe can name a teacher for any other training too; this step only distills.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from lykeion.compress.compressed_model import CompressedModel
from lykeion.compress.errors import CompressionError
from lykeion.compress.settings import plain
from lykeion.core import CONSOLE, Reporter
from lykeion.nets.training import Dataset, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Distill:
    training: Annotated[
        Recipe, "As `lykeion train` takes it; it names the teacher, a run or a .keras file of logits."
    ]

    def __post_init__(self) -> None:
        if not self.training.teacher:
            raise CompressionError("distill: training names no teacher")


def plan(model: CompressedModel, settings: Distill) -> CompressedModel:
    """The model as far as it is known in advance. Raises CompressionError if it cannot be distilled."""
    model.check_trainable()
    return model


def apply(
    model: CompressedModel, data: Dataset, settings: Distill, run: Path | None = None, reporter: Reporter = CONSOLE
) -> tuple[CompressedModel, Mapping[str, Any]]:
    """The model after training from its teacher. Raises CompressionError, TrainingError."""
    from lykeion.compress.trainable.keras_network import fit

    plan(model, settings)
    model, history = fit(
        model, data, settings.training, run, settings={"distill": plain(settings)}, reporter=reporter
    )
    return model, {"steps": history.steps}
