"""Pictures of profiles."""

from pathlib import Path

import numpy as np

from lykeion.core import LykeionError
from lykeion.engines.profile import DeviceProfile


class PictureError(LykeionError):
    """A picture that cannot be drawn or written."""


def draw_profile(profile: DeviceProfile, path: Path) -> None:
    """Write a picture: latency by slot and choice, as colours and numbers. Raises PictureError."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PictureError("a picture needs matplotlib: pip install 'lykeion[train]'") from None
    keys = [key.partition("/") for key in profile.table]
    positions = list(dict.fromkeys(position for position, _, _ in keys))
    choices = list(dict.fromkeys(choice for _, _, choice in keys))
    values = np.array(
        [[profile.table.get(f"{position}/{choice}", np.nan) for choice in choices] for position in positions]
    )
    figure = Figure(figsize=(2 + 0.75 * len(choices), 1.8 + 0.34 * len(positions)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, aspect="auto", cmap="viridis")
    for (row, column), value in np.ndenumerate(values):
        dark = value < np.nanmin(values) + 0.6 * np.ptp(values[np.isfinite(values)])
        axes.text(
            column, row, f"{value:.3g}", ha="center", va="center", fontsize=7, color="white" if dark else "black"
        )
    axes.set_xticks(range(len(choices)), choices)
    axes.set_yticks(range(len(positions)), positions)
    axes.set(ylabel="slot", title=f"{profile.name}, {profile.engine}, {profile.threads} thread(s)\n{profile.space}")
    figure.colorbar(image, label="ms a block")
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise PictureError(f"{path}: cannot be written: {reason}") from None
