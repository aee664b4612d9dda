"""Models to serve: the file with its digest, its card and its labels."""

import re
from dataclasses import dataclass
from pathlib import Path

from lykeion import registry
from lykeion.core import Invalid, NotFound, digest_bytes, json_value, read_bounded
from lykeion.engines.choosing import ModelFile
from lykeion.nets import DEFAULT_MODEL, default_model
from lykeion.nets.training import read_classes
from lykeion.vision import CardError, ModelCard

from .model_files import open_path
from .named_models import find_model, is_version

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
MAX_LABEL_BYTES = 4 << 20


class LabelsError(Invalid):
    """A list of labels that cannot be read."""


@dataclass(frozen=True, slots=True)
class ServableModel:
    """``name`` fits in a URL. ``digest`` is that of the version in the registry, else of the file. ``card`` is None,
    and ``labels`` empty, where the model has none."""

    name: str
    digest: str
    file: ModelFile
    card: ModelCard | None = None
    labels: tuple[str, ...] = ()


def open_servable(
    name: str,
    trust: Path | None = None,
    store: Path | None = None,
    *,
    served_as: str | None = None,
    card: Path | None = None,
    labels: Path | None = None,
    pulled: str = "",
) -> ServableModel:
    """A ``.tflite`` file, a run of ``lykeion train``, a step of a compression, a version, or the default network.

    ``card`` and ``labels`` are files, if these are not in the model's directory; ``pulled`` is the digest of the
    version that a directory was pulled from. Raises LabelsError, CardError, ModelError, NotFound, and what
    ``find_model`` raises.
    """
    digest = pulled
    if is_version(name):
        name = registry.by_digest(registry.Stores(store), name)  # so that all that follows is of one version
        digest = registry.parse(name).digest or ""
    path = find_model(name, trust, store)
    if name == DEFAULT_MODEL:
        path = default_model()
    if not path.exists():
        raise NotFound(f"{name}: no such model; give a .tflite file, a run's directory, or a version as in shoes:v3")
    file = open_path(path, name)
    return ServableModel(
        _served_as(_base_name(name) if served_as is None else served_as),
        digest or digest_bytes(file.content),
        file,
        ModelCard.read(card) if card else _own_card(path, file),
        read_labels(labels) if labels else _own_labels(path),
    )


def read_labels(path: Path) -> tuple[str, ...]:
    """A JSON list of strings, or one label a line. Raises LabelsError."""
    written = read_bounded(path, LabelsError, "list of labels", limit=MAX_LABEL_BYTES)
    if path.suffix == ".json":
        found = json_value(written, LabelsError, "list of labels", where=f"{path}: ", limit=MAX_LABEL_BYTES)
        if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
            raise LabelsError(f"{path}: not a list of labels: give a JSON list of strings, or one label a line")
        return tuple(found)
    try:
        return tuple(written.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError:
        raise LabelsError(f"{path}: not a list of labels: not UTF-8") from None


def _base_name(name: str) -> str:
    """``shoes`` for registry.example/team/shoes:v3, runs/shoes/ and shoes.tflite."""
    if is_version(name):
        return registry.parse(name).name
    return Path(name).resolve().name.removesuffix(".tflite")


def _served_as(name: str) -> str:
    if not NAME.fullmatch(name):
        raise Invalid(f"{name[:80]!r} is no name for URLs: give another with --name, of letters, digits and ._-")
    return name


def _own_card(path: Path, file: ModelFile) -> ModelCard | None:
    """The card beside the file, of a run its own, else one from the file's metadata, if there is one."""
    model = file.source or path / "model.tflite"
    if (beside := model.with_suffix(".json")).exists():
        return ModelCard.read(beside)
    if file.source is None:
        return None
    try:
        return ModelCard.for_model(model)
    except CardError:
        return None


def _own_labels(path: Path) -> tuple[str, ...]:
    return read_classes(path) if path.is_dir() else ()
