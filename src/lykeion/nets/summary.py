"""Summary of an architecture: rows or layers with shapes and costs, as data and as a picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from lykeion.core.pictures import new_figure, save_figure

from .architecture import Architecture, InvertedResidual, Row
from .counts import count
from .unrolling import Layer, layers


@dataclass(frozen=True, slots=True)
class ArchitecturePart:
    """A row or a layer. ``shape`` is its output for one photo, ``share`` its part of all multiply-adds, 0 to 1."""

    name: str
    what: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    share: float


def parts_by_layer(architecture: Architecture) -> tuple[ArchitecturePart, ...]:
    """One part per layer."""
    every = layers(architecture)
    return tuple(_part(layer.name, _describe_layer(layer), [layer], every) for layer in every)


def parts_by_row(architecture: Architecture) -> tuple[ArchitecturePart, ...]:
    """One part per row, then one per layer after the rows: pooling, head, logits."""
    every = layers(architecture)
    groups = groupby((layer for layer in every if not layer.vector), key=lambda layer: layer.row)
    rows = zip(architecture.rows, groups, strict=True)
    return (
        *(_part(name, _describe_row(row), list(group), every) for row, (name, group) in rows),
        *(_part(layer.name, _describe_layer(layer), [layer], every) for layer in every if layer.vector),
    )


def draw_architecture(architecture: Architecture, path: Path) -> None:
    """Write a picture: multiply-adds and parameters of each row, as bars from input to output. Raises
    PictureError."""
    parts, counts = parts_by_row(architecture), count(architecture)
    places = range(len(parts))
    figure = new_figure((10, 1.4 + 0.24 * len(parts)), extra="train")
    figure.suptitle(f"{architecture.name}, {architecture.height}×{architecture.width}×{architecture.channels}")
    left, right = figure.subplots(1, 2, sharey=True)
    left.barh(places, [part.multiply_adds / 1e6 for part in parts], color="tab:blue")
    left.set(title=f"{counts.multiply_adds / 1e6:,.1f} M multiply-adds", xlabel="M multiply-adds")
    left.set_yticks(places, [f"{part.what}  →  {format_shape(part.shape)}" for part in parts], fontsize=8)
    left.invert_yaxis()
    right.barh(places, [part.parameters / 1e3 for part in parts], color="tab:orange")
    right.set(title=f"{counts.parameters / 1e6:,.2f} M parameters", xlabel="thousand parameters")
    for axes in (left, right):
        axes.margins(y=0.01)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def format_shape(shape: Sequence[int]) -> str:
    """A shape as text: ``112×112×16``."""
    return "×".join(map(str, shape))


def _part(name: str, what: str, own: list[Layer], every: Sequence[Layer]) -> ArchitecturePart:
    multiply_adds = sum(layer.multiply_adds for layer in own)
    return ArchitecturePart(
        name,
        what,
        own[-1].shape,
        sum(layer.parameters for layer in own),
        multiply_adds,
        multiply_adds / sum(layer.multiply_adds for layer in every),
    )


def _describe_row(row: Row) -> str:
    words = [f"{row.kind} {row.kernel}×{row.kernel}"]
    if row.stride > 1:
        words.append(f"stride {row.stride}")
    if isinstance(row, InvertedResidual):
        words.append(f"expanded {row.expanded}")
        if row.squeeze:
            words.append(f"squeeze {row.squeeze}")
    return ", ".join([*words, row.activation])


def _describe_layer(layer: Layer) -> str:
    words = [layer.kind]
    if layer.kind in ("convolution", "depthwise"):
        words[0] += f" {layer.kernel}×{layer.kernel}"
    if layer.stride > 1:
        words.append(f"stride {layer.stride}")
    if layer.activation != "linear":
        words.append(layer.activation)
    return ", ".join(words)
