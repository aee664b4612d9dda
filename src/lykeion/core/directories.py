"""Where files go: the data directory holds what must last, the cache directory what can be rebuilt.

Earlier versions kept everything in one directory: ``$LYKEION_HOME``, or else what is now the cache directory.
"""

import logging
import os
import shlex
from functools import cache
from pathlib import Path

from .errors import Unavailable

_KEPT = {"store": "", "images/store": "", "models": "efficientnet-lite0-*"}
"""The parts of the data directory; for each, which files at the same path in the cache directory are only cache."""


def data_directory() -> Path:
    """``$LYKEION_HOME``, else ``$XDG_DATA_HOME/lykeion``, else ``~/.local/share/lykeion``. Not created here.

    Raises Unavailable where the user has no home directory.
    """
    return _home() or _xdg("XDG_DATA_HOME", ".local/share")


def cache_directory() -> Path:
    """``$LYKEION_HOME/cache``, else ``$XDG_CACHE_HOME/lykeion``, else ``~/.cache/lykeion``. Not created here.

    Raises Unavailable where the user has no home directory.
    """
    home = _home()
    return home / "cache" if home else _xdg("XDG_CACHE_HOME", ".cache")


def kept_directory(name: str) -> Path:
    """Path of one of ``_KEPT``: in the data directory, or in the cache directory if an earlier version left it there.

    In that case the logger ``lykeion`` says once per process how to move it.
    """
    if name in _left_behind():
        _notice()
        return cache_directory() / name
    return data_directory() / name


def _home() -> Path | None:
    home = os.environ.get("LYKEION_HOME")
    return Path(home) if home else None


def _xdg(variable: str, otherwise: str) -> Path:
    """A relative path in the variable is ignored, as the XDG Base Directory Specification requires."""
    directory = Path(os.environ.get(variable, ""))
    return (directory if directory.is_absolute() else _user() / otherwise) / "lykeion"


def _user() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # a container run under a user ID without an account
        raise Unavailable("this user has no home directory; set LYKEION_HOME to a directory for files") from None


def _left_behind() -> list[str]:
    """Which of ``_KEPT`` are still in the cache directory."""
    if _home():
        return []
    return [name for name, cached in _KEPT.items() if _holds(cache_directory() / name, cached) and not _same(name)]


def _holds(directory: Path, cached: str) -> bool:
    try:
        return any(path.is_file() and not (cached and path.match(cached)) for path in directory.iterdir())
    except OSError:  # absent, or just moved
        return False


def _same(name: str) -> bool:
    there = data_directory() / name
    return there.exists() and there.samefile(cache_directory() / name)


@cache
def _notice() -> None:
    old, new, names = cache_directory().absolute(), data_directory().absolute(), _left_behind()
    double = [name for name in names if (new / name).exists()]
    if double:
        pairs = "; ".join(f"{old / name} and {new / name}" for name in double)
        text = f"both exist, and the first of each pair is used; move the other away: {pairs}"
    else:
        moves = " && ".join(_move(old / name, (new / name).parent) for name in names)
        text = f"models or images are in a cache directory, which may be cleared; this moves them:\n{moves}"
    logging.getLogger("lykeion").warning("notice: %s", text)


def _move(path: Path, to: Path) -> str:
    """``mv`` into an existing directory: it never nests in what is there, and never merges with it."""
    return f"mkdir -p {shlex.quote(str(to))} && mv {shlex.quote(str(path))} {shlex.quote(str(to))}/"
