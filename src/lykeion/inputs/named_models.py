"""A model by its name: a path, or a version in the model repository, held to a trust policy."""

from pathlib import Path

from lykeion import registry
from lykeion.nets import DEFAULT_MODEL
from lykeion.vision import network_file


def find_model(name: str, trust: Path | None = None, store: Path | None = None) -> Path:
    """Where it is on this machine. A version is pulled once, to a directory; anything else is a path as it was given.

    ``trust`` is the file of a policy, which must allow the model; ``store`` is the store on this machine, if not the
    default one. Raises Untrusted, and what ``registry.keep`` raises.
    """
    version = not _is_path(name) and name != DEFAULT_MODEL
    if not version and not trust:
        return Path(name)
    policy = registry.read_policy(trust) if trust else None
    if version:
        return registry.keep(*registry.Stores(store).find(name), policy=policy)
    if policy:
        registry.check_file(policy, name)
    return Path(name)


def find_embedder(name: str | None, trust: Path | None = None, store: Path | None = None) -> str | None:
    """The file of a network that makes vectors; None is the default one.

    Raises CardError where a directory holds no network or several, and what ``find_model`` raises.
    """
    if name is None and trust is None:
        return None
    model = find_model(name or DEFAULT_MODEL, trust, store)
    return str(network_file(model) if model.is_dir() else model)


def _is_path(name: str) -> bool:
    return name.startswith((".", "/")) or name.endswith((".tflite", ".keras")) or Path(name).exists()
