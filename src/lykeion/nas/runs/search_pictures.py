"""Plots of searches: decisions over time, the children that were trained, and networks by latency and accuracy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lykeion.core.pictures import new_figure, save_figure
from lykeion.nas.strategies import Event

_INK, _OURS, _OTHERS = "#334155", "#c2410c", "#64748b"


def draw_search(history: Sequence[Event], title: str, target: float, usage: str, path: Path) -> None:
    """Plot a gradient search as accuracy, usage and all decisions over steps, a sampling search as its children.

    ``usage`` is what ``target`` limits, with its unit, such as "latency, ms". Draws nothing without events.
    Raises PictureError.
    """
    if not history:
        return
    figure = new_figure((9, 6) if "decisions" in history[0] else (7, 4.5), extra="train")
    if "decisions" in history[0]:
        _draw_decisions(figure, history, target, usage)
    else:
        _draw_children(figure, history, target, usage)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)


def draw_pareto(points: Sequence[dict[str, Any]], target_ms: float, title: str, path: Path) -> None:
    """Networks by latency and test accuracy; a point has ``group``, ``name``, ``latency_ms``, ``accuracy``, ``ours``.

    Raises PictureError.
    """
    figure = new_figure((7.5, 5), extra="train")
    axes = figure.subplots()
    markers = dict(zip(dict.fromkeys(point["group"] for point in points), "os^Dv<>P*X", strict=False))
    for group, marker in markers.items():
        of_group = sorted((point for point in points if point["group"] == group), key=lambda each: each["latency_ms"])
        ours = of_group[0]["ours"]
        axes.plot(
            [point["latency_ms"] for point in of_group],
            [100 * point["accuracy"] for point in of_group],
            marker=marker,
            linestyle="" if ours else "-",
            linewidth=0.8,
            color=_OURS if ours else _OTHERS,
            label=group,
        )
    axes.axvline(target_ms, linestyle=":", color=_INK, label="target")
    axes.set(xlabel="latency, ms", ylabel="accuracy on the test photos, %", title=title)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _draw_decisions(figure: Any, history: Sequence[Event], target: float, usage: str) -> None:
    steps = [event["step"] for event in history]
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    upper.plot(steps, [event["usage"] for event in history], color=_OURS, label=usage)
    upper.axhline(target, linestyle=":", color=_INK, label="target")
    upper.set_ylabel(usage, color=_OURS)
    right = upper.twinx()
    right.plot(steps, [100 * event["accuracy"] for event in history], color=_OTHERS)
    right.set_ylabel("training accuracy, %", color=_OTHERS)
    upper.legend(frameon=False, fontsize=8)
    names = [(slot, name) for slot, decisions in history[0]["decisions"].items() for name in decisions]
    values = np.array([[event["decisions"][slot][name] for event in history] for slot, name in names])
    reach = max(1e-6, float(np.quantile(np.abs(values), 0.98)))
    edges = np.array([0, *steps])
    image = lower.pcolormesh(edges, np.arange(len(names) + 1), values, cmap="PuOr_r", vmin=-reach, vmax=reach)
    starts = [place for place, (slot, _) in enumerate(names) if place == 0 or names[place - 1][0] != slot]
    lower.set_yticks(starts, [names[place][0] for place in starts], fontsize=7)
    lower.hlines(starts, 0, steps[-1], color="white", linewidth=0.8)
    lower.invert_yaxis()
    lower.set(xlabel="step", ylabel="slot")
    figure.colorbar(image, ax=lower, label="closed  <  0  ≤  open", fraction=0.03, pad=0.01)


def _draw_children(figure: Any, history: Sequence[Event], target: float, usage: str) -> None:
    axes = figure.subplots()
    image = axes.scatter(
        [event["usage"] for event in history],
        [100 * event["accuracy"] for event in history],
        c=[event["child"] for event in history],
        cmap="viridis",
        s=18,
    )
    axes.axvline(target, linestyle=":", color=_INK)
    axes.set(xlabel=usage, ylabel="accuracy of the child, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.colorbar(image, label="child")
