"""A model in an image: the network and its card."""

from pathlib import Path

from lykeion.images.errors import ImageError
from lykeion.images.image_kinds import MODEL_PATH
from lykeion.images.layers.entries import TarEntry, source_entries

BESIDE = ("README.md", "LICENSE")


def model_file(model: Path) -> Path:
    """The network: the file itself, or the only .tflite file of a directory. Raises ImageError."""
    if model.is_file():
        return model
    found = sorted(model.glob("*.tflite"))
    if len(found) != 1:
        raise ImageError(f"{model} holds {len(found)} .tflite files; name the one that is to be served")
    return found[0]


def model_entries(model: Path, to: str) -> list[TarEntry]:
    """The network, its card, and what is said of both, in the directory ``to``. Raises ImageError."""
    network = model_file(model)
    files = [network, network.with_suffix(".json"), *(network.parent / name for name in BESIDE)]
    return [entry for file in files if file.exists() for entry in source_entries(file, f"{to}/{file.name}", ())]


def model_environment(model: Path) -> dict[str, str]:
    """What tells the service which network is its embedder."""
    return {"LYKEION_EMBEDDER": f"/{MODEL_PATH}/{model_file(model).name}"}
