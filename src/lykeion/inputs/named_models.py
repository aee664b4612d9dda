"""A model by its name: a path, or a version in the model registry, checked against a trust policy."""

from pathlib import Path

from lykeion import registry
from lykeion.nets import DEFAULT_MODEL
from lykeion.vision import network_file


def find_model(name: str, trust: Path | None = None, store: Path | None = None) -> Path:
    """Its local path. A version is pulled once, to a directory; anything else is returned as a path.

    ``trust`` is the file of a policy, which must allow the model; ``store`` is the local store, if not the default.
    Raises Untrusted, and what ``registry.keep`` raises.
    """
    version = is_version(name)
    if not version and not trust:
        return Path(name)
    policy = registry.read_policy(trust) if trust else None
    if version:
        return registry.keep(*registry.Stores(store).find(name), policy=policy)
    if policy:
        registry.check_file(policy, name)
    return Path(name)


def find_embedder(name: str | None, trust: Path | None = None, store: Path | None = None) -> str | None:
    """The file of an embedder; None is the default one.

    Raises CardError if a directory has no network or several, and what ``find_model`` raises.
    """
    if name is None and trust is None:
        return None
    model = find_model(name or DEFAULT_MODEL, trust, store)
    return str(network_file(model) if model.is_dir() else model)


def is_version(name: str) -> bool:
    """Whether it names a model in a registry, not a path or the default network."""
    path = name.startswith((".", "/")) or name.endswith((".tflite", ".keras")) or Path(name).exists()
    return not path and name != DEFAULT_MODEL
