"""The model that a command is given: a file, or a version in a model repository, which a trust policy must allow."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from .options import store_option, trust_option


def embedder_option(command: Callable[..., None]) -> Callable[..., None]:
    """``--embedder``, with the store and trust policy that it needs; the command gets a file's path, or None."""

    @click.option(
        "--embedder",
        envvar="LYKEION_EMBEDDER",
        metavar="MODEL",
        help="If not the default: a .tflite file with its model card, or a version, as in shoes:champion.  "
        "[env: LYKEION_EMBEDDER]",
    )
    @trust_option
    @store_option
    @wraps(command)
    def with_file(embedder: str | None, trust: Path | None, store: Path | None, **others: Any) -> None:
        command(embedder=local_embedder(embedder, trust, store), **others)

    return with_file


def local_embedder(spec: str | None, trust: Path | None, store: Path | None) -> str | None:
    """The file of a network that makes vectors; None is the default one. Raises what ``local_model`` does."""
    from lykeion.nets import DEFAULT_MODEL

    if spec is None and trust is None:
        return None
    model = local_model(spec or DEFAULT_MODEL, trust, store)
    if not model.is_dir():
        return str(model)
    from lykeion.images import model_file

    return str(model_file(model))


def local_model(spec: str, trust: Path | None, store: Path | None) -> Path:
    """A version's directory on this machine, pulled once; what is no version as it was given.

    Raises Untrusted, and what ``registry.keep`` raises.
    """
    from lykeion.nets import DEFAULT_MODEL

    is_path = spec.startswith((".", "/")) or spec.endswith(".tflite") or Path(spec).exists()
    version = not is_path and spec != DEFAULT_MODEL
    if not version and not trust:
        return Path(spec)
    from lykeion import registry

    policy = registry.read_policy(trust) if trust else None
    if version:
        reference = registry.parse(spec)
        return registry.keep(registry.Stores(store).of(reference.host), reference, policy=policy)
    if policy:
        registry.check_file(policy, spec)
    return Path(spec)
