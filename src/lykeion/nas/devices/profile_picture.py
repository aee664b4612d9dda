"""Pictures of profiles."""

from pathlib import Path

import numpy as np

from lykeion.core.pictures import new_figure, save_figure
from lykeion.engines.choosing import DeviceProfile


def draw_profile(profile: DeviceProfile, path: Path) -> None:
    """Write a picture: latency by slot and choice, as colours and numbers. Raises PictureError."""
    keys = [key.partition("/") for key in profile.table]
    positions, choices = list(dict.fromkeys(key[0] for key in keys)), sorted({key[2] for key in keys})
    unit, factor = ("ms", 1.0) if profile.rest_ms >= 1 else ("µs", 1e3)
    values = np.full((len(positions), len(choices)), np.nan)
    for key, ms in zip(keys, profile.table.values(), strict=True):
        values[positions.index(key[0]), choices.index(key[2])] = ms * factor
    figure = new_figure((2 + 0.7 * len(choices), 1.8 + 0.34 * len(positions)), extra="train")
    axes = figure.subplots()
    image = axes.imshow(values, aspect="auto", cmap="viridis")
    bright = np.nanmin(values) + 0.6 * (np.nanmax(values) - np.nanmin(values))
    for row, column in np.argwhere(np.isfinite(values)):
        shade = "white" if values[row, column] < bright else "black"
        axes.text(column, row, f"{values[row, column]:.3g}", ha="center", va="center", fontsize=8, color=shade)
    axes.set_xticks(range(len(choices)), choices)
    axes.set_yticks(range(len(positions)), positions)
    title = f"{profile.space}: {profile.name}, {profile.engine}, {profile.threads} thread(s)"
    axes.set(ylabel="slot", title=title)
    figure.colorbar(image, label=f"{unit} a block")
    save_figure(figure, path)
