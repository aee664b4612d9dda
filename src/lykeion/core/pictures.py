"""Pictures drawn by matplotlib, which is imported on first use."""

import io
from pathlib import Path
from typing import Any

from .errors import LykeionError, first_line
from .files import write_atomically
from .library_output import quiet_matplotlib


class PictureError(LykeionError):
    """A picture that cannot be drawn or written."""


def new_figure(size: tuple[float, float], *, extra: str) -> Any:
    """A matplotlib figure of a size in inches. Raises PictureError, naming the ``extra`` that has matplotlib."""
    quiet_matplotlib()
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PictureError(f"a picture needs matplotlib: pip install 'lykeion[{extra}]'") from None
    return Figure(figsize=size, layout="constrained")


def save_figure(figure: Any, path: Path, *, folder: bool = False) -> None:
    """Write it in the format of the file's suffix; with ``folder``, create its directory first.

    Raises PictureError, which names the file.
    """
    drawn = io.BytesIO()
    try:
        figure.savefig(drawn, format=path.suffix.removeprefix(".") or "png", dpi=130)
        if not folder:
            path.parent.stat()
        write_atomically(path, drawn.getvalue(), durable=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise PictureError(f"{path}: cannot be written: {reason}") from None
