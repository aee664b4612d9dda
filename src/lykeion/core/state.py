"""Where Lykeion keeps what it makes for itself: built models, caches."""

import os
from pathlib import Path


def state_directory() -> Path:
    """``$LYKEION_HOME``, else ``$XDG_CACHE_HOME/lykeion``, else ``~/.cache/lykeion``. Not created here."""
    if home := os.environ.get("LYKEION_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lykeion"
