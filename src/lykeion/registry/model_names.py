"""Names of models, which are references: versions ``v1``, ``v2`` … and aliases such as ``canary`` are their tags.

Tags that begin with ``lykeion.``, with an underscore (those of earlier releases, which some registries refuse), and
``sha256-…`` are reserved for the store's own records.
"""

import os
import re

from lykeion.oci.distribution import InvalidReference, Reference, parse_reference

_ALIAS = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}")
_VERSION = re.compile(r"v([1-9][0-9]{0,8})")


PREFIX_VARIABLE = "LYKEION_REGISTRY_PREFIX"


def parse(text: str) -> Reference:
    """A name without a host is after ``$LYKEION_REGISTRY_PREFIX``, if that is set. Raises InvalidReference."""
    return parse_reference(prefixed(text, os.environ.get(PREFIX_VARIABLE, "")), "model")


def prefixed(text: str, prefix: str) -> str:
    """The name with ``prefix``, such as registry.example.com/shop, if it has no host. Raises InvalidReference."""
    return f"{prefix.rstrip('/')}/{text}" if prefix and parse_reference(text, "model").host is None else text


def version_number(tag: str) -> int | None:
    """7 for ``v7``; None if it is not a version."""
    match = _VERSION.fullmatch(tag)
    return int(match[1]) if match else None


def is_public(tag: str) -> bool:
    """Whether the tag is a user's, not one of the store's own records."""
    return not tag.startswith(("lykeion.", "_", "sha256-"))


def check_alias(alias: str) -> str:
    """The alias, if it may be moved. Raises InvalidReference for versions, which never move, and invalid names."""
    if version_number(alias) is not None:
        raise InvalidReference(f"{alias} is a version; versions are written once, by push, and never move")
    if not _ALIAS.fullmatch(alias) or not is_public(alias):
        raise InvalidReference(f"{alias[:80]!r} is not an alias; use up to 64 letters, digits and ._-")
    return alias
