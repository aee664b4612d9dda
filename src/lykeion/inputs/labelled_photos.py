"""Labelled photos for a network: in its input size, with its normalisation and its classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lykeion.compress import CompressedModel, check_classes, open_model
from lykeion.core import LykeionError, Reporter
from lykeion.engines import ModelError
from lykeion.engines.choosing import Labelled, ModelFile
from lykeion.engines.running import specs, try_model
from lykeion.nets.training import PHOTO_MEAN, PHOTO_STD, Dataset, Fit, load_data, some
from lykeion.vision import CardError, ModelCard


def open_with_photos(
    model: Path, data: Path, fit: Fit | None, reporter: Reporter, *, skip_bad: bool = False
) -> tuple[CompressedModel, Dataset]:
    """A network that can be trained further, and the photos for that.

    Raises CompressionError if it was trained on other classes, and what ``open_model`` and ``load_data`` raise.
    """
    network = open_model(model)
    ours = network.architecture
    size = {"height": ours.height, "width": ours.width, "channels": ours.channels}
    photos = load_data(data, **size, fit=fit, skip_bad=skip_bad, reporter=reporter)
    check_classes(model, photos)
    return network, photos


def judging_photos(
    data: Path,
    models: Sequence[ModelFile],
    fit: Fit | None,
    *,
    limit: int,
    skip_bad: bool = False,
    reporter: Reporter,
) -> tuple[Labelled, tuple[str, ...]]:
    """The test photos, or else those of validation, for measuring accuracy: in the input size of the first model that
    takes photos, normalised as the models' cards say, or like networks trained here. And which photos were left out.

    Raises ModelError if no model takes photos of one size, or if the models' normalisations differ.
    """
    height, width, channels = _photo_size(models)
    mean, std = _normalisation(models)
    size = {"height": height, "width": width, "channels": channels}
    photos = load_data(data, **size, fit=fit, skip_bad=skip_bad, reporter=reporter)
    for model in models:
        if model.run:
            check_classes(model.run, photos)
    chosen = some(photos.test if len(photos.test) else photos.validation, limit)
    judged = Labelled(chosen.read(np.arange(len(chosen))), chosen.labels, mean, std, classes=len(photos.classes))
    return judged, photos.skipped


def _photo_size(models: Sequence[ModelFile]) -> tuple[int, int, int]:
    """Height, width and channels of the first that takes photos. Raises ModelError if none does."""
    reasons: list[str] = []
    for model in models:
        try:
            try_model(model.content, model.name)
            shape = specs(model.graph)[0][0].shape
        except LykeionError as error:
            reasons.append(str(error))
            continue
        if len(shape) == 4 and shape[3] in (1, 3) and min(shape[1:]) > 0:
            return shape[1], shape[2], shape[3]
        reasons.append(f"{model.name}: has no fixed photo size, so its accuracy cannot be measured with --data")
    raise ModelError(reasons[0])


def _normalisation(models: Sequence[ModelFile]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std from the cards of files that have one. Raises ModelError if they differ."""
    found: dict[tuple[tuple[float, ...], tuple[float, ...]], str] = {}
    for model in models:
        pair = ((PHOTO_MEAN,), (PHOTO_STD,))
        if model.source is not None:
            try:
                card = ModelCard.for_model(model.source)
            except CardError:
                pass
            else:
                same = len({*card.mean}) == len({*card.std}) == 1
                pair = (card.mean[:1], card.std[:1]) if same else (card.mean, card.std)
        found.setdefault(pair, model.name)
    if len(found) > 1:
        names = " and ".join(list(found.values())[:2])
        raise ModelError(f"{names} normalise photos in different ways; measure their accuracy one by one")
    return next(iter(found))
