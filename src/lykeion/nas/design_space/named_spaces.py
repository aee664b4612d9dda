"""The named search spaces."""

from dataclasses import dataclass

from lykeion.nets import Convolution, FullyConnected, InvertedResidual

from .space import Choice, Space, SpaceError, Stage, Strides, slots_of


def spaces() -> dict[str, Space]:
    """All named spaces, by name."""
    return {space.name: space for space in (mobilenetv3(), mobilenetv3_32(), single_path(), single_path_32())}


def find_space(name: str) -> Space:
    """Raises SpaceError."""
    known = spaces()
    if name not in known:
        raise SpaceError(f"search space {name!r} is unknown; use one of {', '.join(known)}")
    return known[name]


def mobilenetv3() -> Space:
    """MobileNetV3-Large's stages (arXiv:1905.02244) at 224², four slots each, for 1000 classes."""
    body = _Body("mobilenetv3", 224, Strides(2, 1, (2, 2, 2, 2)), 16, (24, 40, 80, 112, 160), 960, 1000)
    return _mobilenetv3(body, depths=(4, 4, 4, 4, 4), head=(FullyConnected(1280, "hard-swish"),))


def mobilenetv3_32() -> Space:
    """The same at 32² for 10 classes, a third as wide, with maps that end at 4×4."""
    body = _Body("mobilenetv3-32", 32, SMALL_STRIDES, 8, (8, 16, 24, 40, 56), 240, 10)
    return _mobilenetv3(body, depths=(2, 3, 3, 3, 3), head=())


def single_path() -> Space:
    """Single-Path NAS's space at 224² (arXiv:1904.02877): blocks 1 to 20 of 22, ReLU, no squeeze-and-excitation."""
    body = _Body("single-path", 224, Strides(2, 1, (2, 2, 2, 2)), 32, _SINGLE_PATH_OUTPUTS, 1280, 1000)
    return _single_path(body, first=16, last=320, table_of=body.name)


def single_path_32() -> Space:
    """A small version of it: the same slots at 32² for 10 classes, a third as wide, with maps that end at 4×4.

    A network is trained in this space and its cost is that of the large one, position by position.
    """
    body = _Body("single-path-32", 32, SMALL_STRIDES, 8, (8, 16, 24, 32, 64), 320, 10)
    return _single_path(body, first=8, last=104, table_of="single-path")


SMALL_STRIDES = Strides(1, 2, (1, 2, 2, 1))
"""For 32²: ImageNet's strides would end at 1×1, where a kernel of 3 sees only padding."""

_SINGLE_PATH_OUTPUTS = (24, 40, 80, 96, 192)


@dataclass(frozen=True, slots=True)
class _Body:
    """``size``: pixels per side. Channels: of the ``stem``, of each stage (``outputs``), of the last ``features``."""

    name: str
    size: int
    strides: Strides
    stem: int
    outputs: tuple[int, ...]
    features: int
    classes: int


def _mobilenetv3(body: _Body, *, depths: tuple[int, ...], head: tuple[FullyConnected, ...]) -> Space:
    """ReLU in the first two stages, hard-swish after; a third expansion in the last two, where maps are small."""
    down = body.strides.stages
    stages = tuple(
        Stage(
            output,
            depth,
            stride,
            _choices(expansions, squeezes=(False, True)),
            "relu" if number < 2 else "hard-swish",
        )
        for number, (output, depth, stride, expansions) in enumerate(
            zip(
                body.outputs,
                depths,
                (down[0], down[1], down[2], 1, down[3]),
                ((3, 6), (3, 6), (3, 6), (3, 4, 6), (3, 4, 6)),
                strict=True,
            )
        )
    )
    front = (
        Convolution(body.stem, 3, body.strides.stem, "hard-swish"),
        InvertedResidual(body.stem, body.stem, 3, body.strides.first, "relu"),
    )
    inside = body.size // body.strides.stem // body.strides.first
    return Space(
        body.name,
        body.size,
        body.size,
        front,
        slots_of(stages, inside, inside, body.stem),
        back=(Convolution(body.features, 1, 1, "hard-swish"),),
        head=head,
        strides=body.strides,
        classes=body.classes,
        table_of=body.name,
    )


def _single_path(body: _Body, *, first: int, last: int, table_of: str) -> Space:
    down = body.strides.stages
    choices = _choices((3, 6), squeezes=(False,))
    stages = tuple(
        Stage(output, 4, stride, choices, "relu")
        for output, stride in zip(body.outputs, (down[0], down[1], down[2], 1, down[3]), strict=True)
    )
    front = (
        Convolution(body.stem, 3, body.strides.stem, "relu"),
        InvertedResidual(body.stem, first, 3, body.strides.first, "relu"),
    )
    back = (InvertedResidual(body.outputs[-1] * 6, last, 3, 1, "relu"), Convolution(body.features, 1, 1, "relu"))
    inside = body.size // body.strides.stem // body.strides.first
    slots = slots_of(stages, inside, inside, first)
    return Space(
        body.name, body.size, body.size, front, slots, back, (), body.strides, body.classes, table_of=table_of
    )


def _choices(expansions: tuple[int, ...], squeezes: tuple[bool, ...]) -> tuple[Choice, ...]:
    return tuple(Choice(kernel, times, squeeze) for kernel in (3, 5) for times in expansions for squeeze in squeezes)
