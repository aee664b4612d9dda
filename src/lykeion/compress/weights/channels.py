"""Groups of an architecture's channels that are kept or removed together, and networks without some of them.

A group has the name of the first layer that produces its channels. Layers share a group if their outputs are added
or multiplied, or if one preserves the channels of its input, as depthwise convolutions do. Plain functions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from lykeion.nets import INPUT, LOGITS, Architecture, InvertedResidual, Weights, layers

Kept: TypeAlias = Mapping[str, np.ndarray]
"""Indices of the channels to keep, ascending, by group."""

FIXED = ""
"""The group of the photo's channels and of the logits, which are always kept."""


def channel_groups(architecture: Architecture) -> dict[str, str]:
    """The group of each layer's output, by the layer's name."""
    made = {INPUT: FIXED}
    first: dict[str, str] = {FIXED: FIXED}  # a group, and the earlier one that it was merged into
    for layer in layers(architecture):
        incoming = [_root(first, made[name]) for name in layer.inputs]
        if layer.kind in ("convolution", "dense"):
            made[layer.name] = FIXED if layer.name == LOGITS else layer.name
            first.setdefault(made[layer.name], made[layer.name])
            continue
        made[layer.name] = incoming[0]
        for other in incoming[1:]:
            first[other] = incoming[0]
    return {name: _root(first, group) for name, group in made.items()}


def without(architecture: Architecture, kept: Kept) -> Architecture:
    """The architecture with the kept channels only; groups that are not in ``kept`` stay complete."""
    groups = channel_groups(architecture)
    sizes = {layer.name: layer.channels for layer in layers(architecture)}

    def size(name: str) -> int:
        return len(kept[groups[name]]) if groups[name] in kept else sizes[name]

    rows, channels = [], architecture.channels
    for place, row in enumerate(architecture.rows):
        last = next(name for name in reversed(sizes) if name.startswith(f"{place}/"))
        changed = {"output": size(last)}
        if isinstance(row, InvertedResidual):
            changed |= {
                "expanded": size(f"{place}/depthwise"),
                "squeeze": size(f"{place}/reduce") if row.squeeze else 0,
                "expand": row.expands(channels),
                "residual": row.adds(channels),
            }
        rows.append(replace(row, **changed))
        channels = row.output
    dense = [layer.name for layer in layers(architecture) if layer.kind == "dense" and layer.vector]
    head = [replace(row, output=size(name)) for row, name in zip(architecture.head, dense[:-1], strict=True)]
    return replace(architecture, rows=tuple(rows), head=tuple(head))


def carried_over(architecture: Architecture, weights: Weights, kept: Kept) -> dict[str, np.ndarray]:
    """The weights of the kept channels, for the architecture from ``without``."""
    groups = channel_groups(architecture)
    found: dict[str, np.ndarray] = {}
    for layer in layers(architecture):
        incoming, outgoing = kept.get(groups[layer.inputs[0]]), kept.get(groups[layer.name])
        for name in layer.weights():
            value = weights[name]
            if outgoing is not None:
                value = value[..., outgoing]
            if incoming is not None and name.endswith("/kernel") and layer.kind != "depthwise":
                value = value[..., incoming, :]
            found[name] = np.ascontiguousarray(value)
    return found


def _root(first: Mapping[str, str], group: str) -> str:
    while first[group] != group:
        group = first[group]
    return group
