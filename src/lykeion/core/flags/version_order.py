"""The order of versions: close to https://semver.org, by comparing padded texts."""

import re

from .script_values import Value, text

_PREFIX_AND_BUILD = re.compile(r"^v|\+.*$")
_SEPARATORS = re.compile(r"[-.]")
_DIGITS = re.compile(r"[0-9]+")


def padded_version(version: Value) -> str:
    """A text that sorts where the version does: numbers are padded, and a release follows its pre-releases."""
    known = text(version) if isinstance(version, str | int | float) and not isinstance(version, bool) else "0"
    parts = _SEPARATORS.split(_PREFIX_AND_BUILD.sub("", known))
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(5) if _DIGITS.fullmatch(part) else part for part in parts)
