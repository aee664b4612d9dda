"""Models as the bytes of LiteRT files, for engines to run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lykeion.engines.choosing import ModelFile
from lykeion.engines.running import read_model
from lykeion.nets import EMBEDDING, LOGITS, find, random_weights, write_litert
from lykeion.nets.training import load_network
from lykeion.vision import network_file

from .named_models import find_model


def open_models(names: Sequence[str], trust: Path | None = None, store: Path | None = None) -> list[ModelFile]:
    """Each once, by its name: a ``.tflite`` file, a run of ``lykeion train``, a step of a compression, a version, or
    a network of ``lykeion nets list`` with random weights.

    Raises ModelError, ArchitectureError, TrainingError, CardError, and what ``find_model`` raises.
    """
    found = [_open(name, trust, store) for name in names]
    count = Counter(model.name for model in found)
    if max(count.values(), default=1) > 1:  # files with the same name: by their paths
        found = [replace(model, name=name) for name, model in zip(names, found, strict=True)]
    return list({model.name: model for model in found}.values())


def _open(name: str, trust: Path | None, store: Path | None) -> ModelFile:
    if not (name.endswith(".tflite") or ":" in name or Path(name).is_dir()):
        architecture = find(name)
        return ModelFile(name, write_litert(architecture, random_weights(architecture), output=LOGITS))
    return open_path(find_model(name, trust, store), name)


def open_path(path: Path, name: str) -> ModelFile:
    """A file, or the directory of a run, a step or a version, as found by ``find_model``. Raises as
    ``open_models``."""
    if not path.is_dir():
        return ModelFile(path.stem, read_model(path), path)
    name = name.rstrip("/")
    if (path / "compression.json").exists():
        return ModelFile(name, read_model(path / "model.tflite"), run=path)
    if (path / "architecture.json").exists() or not any(path.glob("*.tflite")):
        return ModelFile(name, _trained(path), run=path)
    file = network_file(path)
    return ModelFile(name, read_model(file), file)


def _trained(run: Path) -> bytes:
    """The logits of a network that ``lykeion train`` trained, or its embedding if it was trained for distances."""
    architecture, weights = load_network(run)
    return write_litert(architecture, weights, output=LOGITS if f"{LOGITS}/kernel" in weights else EMBEDDING)
