"""A picture of an experiment: the difference and its interval after each number of units."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lykeion.core.pictures import new_figure, save_figure

from .experiment_results import Look


def plot_looks(paths: Mapping[str, Sequence[Look]], title: str, path: Path) -> None:
    """One panel for each metric and arm, by its title. Raises PictureError."""
    figure = new_figure((7.0, 2.4 * max(1, len(paths)) + 0.6), extra="experiments")
    figure.suptitle(title)
    for number, (name, looks) in enumerate(paths.items(), 1):
        axes = figure.add_subplot(len(paths), 1, number)
        units = [each.units for each in looks]
        axes.fill_between(units, [each.low for each in looks], [each.high for each in looks], alpha=0.25, linewidth=0)
        axes.plot(units, [each.estimate for each in looks])
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_title(name if looks else f"{name}: too early", fontsize="small")
        axes.set_ylabel("difference", fontsize="small")
        axes.set_xlabel("units counted, of both arms", fontsize="small")
    save_figure(figure, path)
