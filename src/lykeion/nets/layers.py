"""An architecture unrolled into the layers it is made of, in the order in which they run.

Counting, building and writing a network all walk this one list.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from .architecture import Activation, Architecture, Convolution, InvertedResidual

Kind: TypeAlias = Literal["convolution", "depthwise", "add", "pool", "dense"]

INPUT, EMBEDDING, LOGITS = "image", "embedding", "logits"
"""Names of the tensors that a person sees: what goes in, and the two things that can come out."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. ``inputs`` are names of earlier layers, or INPUT; sizes are those of its output.

    Its weights are named ``<name>/<weight>``. A convolution has ``kernel`` (kernel, kernel, channels_in, channels)
    and a depthwise one ``kernel`` (kernel, kernel, channels); both have a batch norm of ``gamma``, ``beta``, ``mean``
    and ``variance`` (channels). A dense layer has ``kernel`` (channels_in, channels) and ``bias``.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    height: int
    width: int
    channels_in: int
    channels: int
    kernel: int = 1
    stride: int = 1
    activation: Activation = "linear"

    def weights(self) -> dict[str, tuple[int, ...]]:
        """Shape of each of its weights, by full name."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.kind in ("convolution", "depthwise"):
            depth = (self.channels_in,) if self.kind == "convolution" else ()
            shapes["kernel"] = (self.kernel, self.kernel, *depth, self.channels)
            shapes |= dict.fromkeys(("gamma", "beta", "mean", "variance"), (self.channels,))
        elif self.kind == "dense":
            shapes = {"kernel": (self.channels_in, self.channels), "bias": (self.channels,)}
        return {f"{self.name}/{weight}": shape for weight, shape in shapes.items()}


def layers(architecture: Architecture) -> tuple[Layer, ...]:
    """All layers up to EMBEDDING (the pooled features) and LOGITS, the last two."""
    chain = _Chain(architecture.height, architecture.width)
    for position, row in enumerate(architecture.rows):
        match row:
            case Convolution():
                chain.convolve(f"{position}/convolution", row.output, row.kernel, row.stride, row.activation)
            case InvertedResidual():
                _invert(chain, str(position), row)
    chain.append(EMBEDDING, "pool", chain.channels, size=(1, 1))
    chain.append(LOGITS, "dense", architecture.classes)
    return tuple(chain.layers)


def _invert(chain: "_Chain", name: str, row: InvertedResidual) -> None:
    before, channels = chain.last, chain.channels
    if row.expanded != channels:
        chain.convolve(f"{name}/expand", row.expanded, 1, 1, row.activation)
    chain.convolve(f"{name}/depthwise", row.expanded, row.kernel, row.stride, row.activation, "depthwise")
    chain.convolve(f"{name}/project", row.output, 1, 1, "linear")
    if row.stride == 1 and row.output == channels:
        chain.append(f"{name}/add", "add", row.output, inputs=(before, chain.last))


class _Chain:
    """Layers so far, and the name and size of the last one's output."""

    def __init__(self, height: int, width: int) -> None:
        self.layers: list[Layer] = []
        self.last, self.channels, self.size = INPUT, 3, (height, width)

    def convolve(
        self,
        name: str,
        channels: int,
        kernel: int,
        stride: int,
        activation: Activation,
        kind: Literal["convolution", "depthwise"] = "convolution",
    ) -> None:
        # "same" padding: the output covers the input whatever the kernel, so only the stride counts.
        size = (-(-self.size[0] // stride), -(-self.size[1] // stride))
        self.append(name, kind, channels, size=size, kernel=kernel, stride=stride, activation=activation)

    def append(
        self,
        name: str,
        kind: Kind,
        channels: int,
        *,
        inputs: tuple[str, ...] = (),
        size: tuple[int, int] | None = None,
        kernel: int = 1,
        stride: int = 1,
        activation: Activation = "linear",
    ) -> None:
        self.size = size or self.size
        self.layers.append(
            Layer(
                name,
                kind,
                inputs or (self.last,),
                *self.size,
                self.channels,
                channels,
                kernel,
                stride,
                activation,
            )
        )
        self.last, self.channels = name, channels
