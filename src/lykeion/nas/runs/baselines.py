"""Published networks made comparable with those of a space: with its strides, stem, last convolution and head."""

from dataclasses import replace

from lykeion.nas.design_space.space import Space
from lykeion.nets import Architecture, InvertedResidual, Row, find

BASELINES = (
    *(f"mobilenet-v2-{width}" for width in (0.2, 0.35, 0.5)),
    *(f"mobilenet-v3-small-{width}" for width in (0.35, 0.5, 0.75)),
    *(f"mobilenet-v3-large-{width}" for width in (0.2, 0.35, 0.5)),
)


def baselines(space: Space, names: tuple[str, ...] = BASELINES) -> tuple[Architecture, ...]:
    """MobileNetV2 and V3 at several widths, adapted to the space. Raises ArchitectureError."""
    return tuple(adapt(find(name), space) for name in names)


def adapt(published: Architecture, space: Space) -> Architecture:
    """``published``, a MobileNetV2 or V3, with everything except its blocks taken from the space.

    Blocks keep their channels and kernels. Where the published network halves its maps for the first, second, third
    and fourth time after the stem, this one has the space's stride.
    """
    stem, *blocks, _ = published.rows
    ours, *_ = space.front
    stages = iter(space.strides.stages)
    rows: list[Row] = [ours]
    for place, block in enumerate(blocks):
        stride = next(stages, 2) if block.stride == 2 else 1
        block = replace(block, stride=stride if place else stride * space.strides.first)
        if place == 0 and isinstance(block, InvertedResidual) and block.expanded == stem.output:
            block = replace(block, expanded=ours.output)  # it has no expansion, whatever the stem
        rows.append(block)
    return Architecture(
        f"{published.name} for {space.name}",
        space.height,
        space.width,
        (*rows, space.back[-1]),
        space.classes,
        head=space.head,
        channels=space.channels,
    )
