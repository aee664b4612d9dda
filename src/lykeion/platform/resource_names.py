"""Names of resources on the command line: ``batch/embed``, ``batchexecutions``, ``batch,training``."""

from collections.abc import Mapping

from lykeion.control import CLUSTER, AnyKind, Key, Metadata, ResourceError, read_as
from lykeion.core.fields import Field


def find_kind(typed: str, kinds: Mapping[str, AnyKind]) -> AnyKind:
    """The kind with this name, plural or short name, in any case. Raises ResourceError."""
    for kind in kinds.values():
        if typed.lower() in (kind.name.lower(), kind.plural, *kind.short_names):
            return kind
    known = ", ".join("|".join((kind.name.lower(), *kind.short_names)) for kind in kinds.values())
    raise ResourceError(f"there is no kind {typed[:60]!r}; there are {known}")


def find_kinds(typed: str, kinds: Mapping[str, AnyKind]) -> list[AnyKind]:
    """Several kinds, separated by commas; ``all`` is every one that has a namespace and runs something.

    Raises ResourceError.
    """
    if typed.lower() == "all":
        return [kind for kind in kinds.values() if kind.namespaced and not kind.inline]
    return [find_kind(each, kinds) for each in typed.split(",")]


def parse_key(typed: str, kinds: Mapping[str, AnyKind], namespace: str) -> Key:
    """The key of ``KIND/NAME``. Raises ResourceError."""
    kind, slash, name = typed.partition("/")
    if not slash or not name:
        raise ResourceError(f"{typed[:60]!r} does not name a resource; write KIND/NAME, such as batch/embed")
    found = find_kind(kind, kinds)
    check_names(name=name, namespace=namespace)
    return Key(found.name, namespace if found.namespaced else CLUSTER, name)


def check_names(**names: str) -> None:
    """Raises ResourceError if a ``name`` or ``namespace`` is not such as a resource can have."""
    for what, name in names.items():
        read_as(Metadata, Field("the command", {"name": "any", what: name}, ResourceError))
