"""Names of resources on the command line: ``batch/embed``, ``batchexecutions``, ``batch,training``."""

from collections.abc import Mapping

from lykeion.control import CLUSTER, AnyKind, Key, ResourceError


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
    return Key(found.name, namespace if found.namespaced else CLUSTER, name)
