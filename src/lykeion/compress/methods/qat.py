"""Quantization-aware training: training simulates the integer arithmetic of the result (arXiv:1712.05877).

Kernels are folded with their batch norm and rounded per channel, activations are rounded to ranges that follow the
batches. Zeros stay, and the codebook of clustered kernels consists of integers. ``nets.litert_int8`` writes the file
from the same arithmetic. Without training it is post-training quantization of clustered networks: ranges from
``calibration`` photos, and the codebook rounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from lykeion.compress.compressed_model import CompressedModel
from lykeion.compress.network_files import litert_file
from lykeion.compress.predictions import predict_litert
from lykeion.compress.settings import Between, plain
from lykeion.core import CONSOLE, Reporter
from lykeion.nets.training import Dataset, Recipe, some

AGREEMENT_PHOTOS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Qat:
    calibration: Annotated[int, "Training photos that the first ranges are taken from.", Between(1, 100_000)] = 512
    training: Annotated[Recipe | None, "As `lykeion train` takes it; none: ranges alone."] = None


def plan(model: CompressedModel, settings: Qat) -> CompressedModel:
    """The model as far as it is known in advance. Raises CompressionError if it cannot be quantized."""
    model.check_trainable()
    return replace(model, ranges=model.ranges or {})


def apply(
    model: CompressedModel, data: Dataset, settings: Qat, run: Path | None = None, reporter: Reporter = CONSOLE
) -> tuple[CompressedModel, Mapping[str, Any]]:
    """The model in int8; how often the simulated network and the file predict the same class; the largest difference
    of their logits. Raises CompressionError, TrainingError."""
    from lykeion.compress.trainable.keras_network import build, check_data, fit, observe
    from lykeion.nets.training import predict

    plan(model, settings)
    check_data(model, data)
    if model.ranges is None:
        model = replace(model, ranges=observe(model, some(data.train, settings.calibration)))
    if settings.training is not None:
        model, _ = fit(model, data, settings.training, run, settings={"qat": plain(settings)}, reporter=reporter)
    photos = some(data.validation, AGREEMENT_PHOTOS)
    simulated, written = predict(build(model), photos), predict_litert(litert_file(model), photos)
    agreement = float((simulated.argmax(axis=1) == written.argmax(axis=1)).mean())
    return model, {"agreement": agreement, "difference": float(np.abs(simulated - written).max())}
