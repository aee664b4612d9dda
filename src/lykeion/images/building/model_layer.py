"""A model in an image: the network and its card."""

from pathlib import Path

from lykeion.images.image_kinds import MODEL_PATH
from lykeion.images.layers.entries import TarEntry, source_entries
from lykeion.vision import network_file

BESIDE = ("README.md", "LICENSE")


def model_entries(model: Path, to: str) -> list[TarEntry]:
    """The network, its card and their facts, in the directory ``to``. Raises CardError."""
    network = network_file(model)
    files = [network, network.with_suffix(".json"), *(network.parent / name for name in BESIDE)]
    return [entry for file in files if file.exists() for entry in source_entries(file, f"{to}/{file.name}", ())]


def model_environment(model: Path) -> dict[str, str]:
    """The settings that tell the service which network is its embedder."""
    return {"LYKEION_EMBEDDER": f"/{MODEL_PATH}/{network_file(model).name}"}
