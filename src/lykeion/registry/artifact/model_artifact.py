"""A model as an OCI manifest: read from one, or packed from a directory.

Every file is a separate layer, neither archived nor compressed, so that equal files are stored once and any OCI
client can fetch them. The same directory always gives the same digest.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from lykeion import vision
from lykeion.core import Unsupported, digest_bytes, digest_file, read_json
from lykeion.oci import Descriptor, ImageIndex, ImageManifest, media_types, read_manifest
from lykeion.registry.errors import InvalidModel

from .facts import FACTS, FILE, ModelFacts
from .modelpack import ARTIFACT, CONFIG, FILE_PATH, ModelConfig

TITLE = "org.opencontainers.image.title"
SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""The artifact type of signatures, and the media type of their bundles."""
MAX_FILES = 4_096
MAX_PATH = 255
LEFT_OUT = ("checkpoint*", "last.npz", "__pycache__", "*.part", "*.tmp", "*.log")
"""Files and directories that ``pack`` excludes besides hidden ones: training checkpoints, and files of other
tools."""

_WEIGHTS = {".tflite", ".keras", ".h5", ".npz", ".safetensors", ".onnx", ".pt", ".pth", ".bin", ".gguf"}
_CODE = {".py", ".sh"}
_SETTINGS = {".json", ".yaml", ".yml", ".toml"}


@dataclass(frozen=True, slots=True)
class File:
    path: str
    blob: Descriptor


@dataclass(frozen=True, slots=True)
class Model:
    """``data`` is the manifest's bytes, whose digest names it."""

    data: bytes
    manifest: ImageManifest
    files: tuple[File, ...]
    facts: Descriptor | None

    @property
    def digest(self) -> str:
        return digest_bytes(self.data)

    @property
    def size_bytes(self) -> int:
        return sum(file.blob.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Packed:
    """A model with the source of each of its blobs, by digest."""

    model: Model
    sources: Mapping[str, bytes | Path]


def read_model(data: bytes) -> Model:
    """A manifest as a model: one of ModelPack, or another artifact of files with titles, as ``oras push`` makes it.

    Raises InvalidModel, ContentError, and Unsupported for layers that are archives.
    """
    manifest = read_manifest(data)
    if isinstance(manifest, ImageIndex):
        raise InvalidModel(f"{digest_bytes(data)} is an index of manifests, not a model")
    if manifest.artifact_type != ARTIFACT and manifest.config.media_type != CONFIG and not _is_of_files(manifest):
        kind = manifest.artifact_type or manifest.config.media_type
        raise InvalidModel(f"{digest_bytes(data)} is not a model but {kind[:100]!r}")
    files: list[File] = []
    facts: Descriptor | None = None
    for layer in manifest.layers:
        if layer.media_type == FACTS:
            facts = layer
            continue
        if _is_archive(layer):
            raise Unsupported(
                f"layer {layer.digest} is an archive ({layer.media_type[:100]}); only plain files are read"
            )
        files.append(File(_checked(layer.annotations.get(FILE_PATH) or layer.annotations.get(TITLE) or ""), layer))
    paths = [file.path for file in files]
    if len(paths) > MAX_FILES or len(set(paths)) != len(paths) or FILE in paths:
        raise InvalidModel(f"{digest_bytes(data)}: over {MAX_FILES:,} files, or two of one name")
    return Model(data, manifest, tuple(files), facts)


def pack(directory: Path, name: str, facts: ModelFacts, *, leave_out: Sequence[str] = LEFT_OUT) -> Packed:
    """The files below ``directory`` as a model called ``name``, with ``facts`` (see ``gathering``) as the file
    ``lykeion.json``. Raises InvalidModel, OSError."""
    found = files_below(directory, lambda part: _left_out(part, leave_out))
    found.pop(FILE, None)
    if not any(path.suffix.lower() in _WEIGHTS for path in found.values()):
        raise InvalidModel(f"{directory} has no model: no file ends in {' '.join(sorted(_WEIGHTS))}")
    sources: dict[str, bytes | Path] = {}
    layers: list[Descriptor] = []
    for relative, path in found.items():
        blob = Descriptor(
            _media_type(path),
            digest_file(path),
            path.stat().st_size,
            annotations={FILE_PATH: relative, TITLE: relative},
        )
        layers.append(blob)
        sources[blob.digest] = path
    if facts:
        data = facts.to_json()
        layers.append(Descriptor(FACTS, digest_bytes(data), len(data), annotations={FILE_PATH: FILE, TITLE: FILE}))
        sources[layers[-1].digest] = data
    config = _config(directory, name, found, layers).to_json()
    sources[digest_bytes(config)] = config
    manifest = ImageManifest(
        Descriptor(CONFIG, digest_bytes(config), len(config)),
        tuple(layers),
        artifact_type=ARTIFACT,
        annotations={TITLE: name, **facts.annotations()},
    )
    return Packed(read_model(manifest.to_bytes()), sources)


def files_below(directory: Path, left_out: Callable[[str], bool] = lambda part: False) -> dict[str, Path]:
    """The files below a directory by their relative paths, sorted; ``left_out`` judges each part of a path.

    Raises InvalidModel, OSError.
    """
    if not directory.is_dir():
        raise InvalidModel(f"{directory} is not a directory")
    found: dict[str, Path] = {}
    for path in directory.rglob("*"):
        relative = path.relative_to(directory)
        if any(map(left_out, relative.parts)):
            continue
        if path.is_symlink():
            raise InvalidModel(f"{path} is a symbolic link; only regular files can be stored")
        if path.is_file():
            found[_checked(relative.as_posix())] = path
    if not 0 < len(found) <= MAX_FILES:
        raise InvalidModel(f"{directory} has {len(found):,} files; 1 to {MAX_FILES:,} can be stored")
    return dict(sorted(found.items()))


def _is_of_files(manifest: ImageManifest) -> bool:
    """Neither an image nor a referrer, and every layer has a name."""
    image = manifest.config.media_type in (media_types.CONFIG, media_types.DOCKER_CONFIG)
    named = bool(manifest.layers) and all(layer.annotations.get(TITLE) for layer in manifest.layers)
    return named and not image and manifest.subject is None


def _is_archive(layer: Descriptor) -> bool:
    """oras gives every file the media type of a tar by default, and annotates those that really are directories."""
    if TITLE in layer.annotations and not layer.media_type.startswith("application/vnd.cncf.model."):
        return layer.annotations.get("io.deis.oras.content.unpack") == "true"
    return ".tar" in layer.media_type or "+gzip" in layer.media_type


def _left_out(part: str, patterns: Sequence[str]) -> bool:
    return part.startswith(".") or any(fnmatch(part, pattern) for pattern in patterns)


def _checked(path: str) -> str:
    """A relative path without ``..``. Raises InvalidModel."""
    parts = PurePosixPath(path).parts
    strange = not path.isprintable() or "\\" in path or len(path) > MAX_PATH
    if not parts or strange or path.startswith("/") or ".." in parts or "/".join(parts) != path:
        raise InvalidModel(f"file {path[:100]!r}: not a plain relative path of at most {MAX_PATH} characters")
    return path


def _media_type(path: Path) -> str:
    suffix = path.suffix.lower()
    kind = (
        "weight.v1"
        if suffix in _WEIGHTS
        else "weight.config.v1"
        if suffix in _SETTINGS
        else "code.v1"
        if suffix in _CODE
        else "doc.v1"
    )
    return f"application/vnd.cncf.model.{kind}.raw"


def _config(directory: Path, name: str, found: Mapping[str, Path], layers: Sequence[Descriptor]) -> ModelConfig:
    """The model's card, and the architecture file that training writes."""
    weights = [path for path in found.values() if path.suffix.lower() in _WEIGHTS]
    main = next((path for path in weights if path.suffix == ".tflite"), weights[0])
    card = _card(main) if main.suffix == ".tflite" else None
    return ModelConfig(
        name=name,
        files=tuple(layer.digest for layer in layers),
        title=card.name if card else "",
        licences=(card.licence,) if card and card.licence else (),
        architecture=_architecture(directory / "architecture.json"),
        format=main.suffix.removeprefix("."),
        input_types=("image",) if card else (),
        output_types=("embedding",) if card else (),
    )


def _card(model: Path) -> "vision.ModelCard | None":
    try:
        return vision.ModelCard.for_model(model)
    except vision.CardError:
        return None


def _architecture(path: Path) -> str:
    """The name in an architecture's file, if there is one."""
    try:
        name = read_json(path, InvalidModel).get("name")
    except InvalidModel:
        return ""
    return name if isinstance(name, str) else ""
