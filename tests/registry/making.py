"""Small models, made for tests."""

from pathlib import Path

from lykeion.core import SILENT
from lykeion.oci.distribution import Advance, ArtifactStore, Reference
from lykeion.registry import ModelFacts, Packed, gather, pack, parse, push


def model_directory(path: Path, content: bytes = b"weights", **files: bytes) -> Path:
    """A directory with model.tflite, a README, and more files (with _ for . in their names)."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "model.tflite").write_bytes(content)
    (path / "README.md").write_bytes(b"# A model\n")
    for name, data in files.items():
        (path / name.replace("_", ".")).write_bytes(data)
    return path


def packed(path: Path, name: str = "shoes", content: bytes = b"weights", **metrics: object) -> Packed:
    facts = gather(model_directory(path, content), metrics=[f"{key}={value}" for key, value in metrics.items()])
    return pack(path, name, facts)


def pushed(
    store: ArtifactStore, path: Path, name: str, content: bytes = b"weights", facts: ModelFacts | None = None
) -> str:
    """Push a small model as ``name``, which may have an alias, and return its digest."""
    reference = parse(name)
    model = pack(model_directory(path, content), reference.name, facts or ModelFacts())
    return push(model, store, at(store, reference), reporter=SILENT).digest


def at(store: ArtifactStore, reference: Reference) -> Reference:
    """The reference in the store, of whatever kind it is."""
    return Reference(store.host, reference.repository, reference.tag, reference.digest)


def ignore(_count: int) -> None:
    pass


IGNORE: Advance = ignore
