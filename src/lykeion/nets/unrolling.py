"""An architecture unrolled into its layers, in execution order.

Counting, building and writing a network all use this list.
"""

from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from .architecture import Activation, Architecture, Convolution, DepthwiseSeparable, InvertedResidual, Row

Kind: TypeAlias = Literal["convolution", "depthwise", "add", "multiply", "pool", "dense"]

LayerPadding: TypeAlias = Literal["same", "valid"]

INPUT, EMBEDDING, LOGITS = "image", "embedding", "logits"
"""Public names of tensors: the input, and the two possible outputs."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer. ``inputs`` are names of earlier layers, or INPUT; sizes are those of its output.

    Its weights are named ``<name>/<weight>``. A convolution has ``kernel`` (kernel, kernel, channels_in, channels)
    and a depthwise one ``kernel`` (kernel, kernel, channels); both have a batch norm of ``gamma``, ``beta``, ``mean``
    and ``variance`` (channels). A dense layer has ``kernel`` (channels_in, channels) and ``bias``. A pool is the mean
    over height and width.
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
    vector: bool = False
    """The output is (channels), not (height, width, channels): after the last pooling."""
    padding: LayerPadding = "same"

    @property
    def row(self) -> str:
        """The index of its row; for the layers after the rows, its own name."""
        return self.name.partition("/")[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the output for one photo."""
        return (self.channels,) if self.vector else (self.height, self.width, self.channels)

    @property
    def parameters(self) -> int:
        """The number of its weights, including batch norm statistics."""
        return sum(map(prod, self.weights().values()))

    @property
    def multiply_adds(self) -> int:
        """For one photo, counted as in papers: only convolutions and dense layers, without bias and batch norm."""
        positions = self.height * self.width
        match self.kind:
            case "convolution" | "dense":
                return positions * self.kernel**2 * self.channels_in * self.channels
            case "depthwise":
                return positions * self.kernel**2 * self.channels
            case "add" | "multiply" | "pool":
                return 0

    def weights(self) -> dict[str, tuple[int, ...]]:
        """The shape of each of its weights, by full name."""
        shapes: dict[str, tuple[int, ...]] = {}
        if self.kind in ("convolution", "depthwise"):
            depth = (self.channels_in,) if self.kind == "convolution" else ()
            shapes["kernel"] = (self.kernel, self.kernel, *depth, self.channels)
            shapes |= dict.fromkeys(("gamma", "beta", "mean", "variance"), (self.channels,))
        elif self.kind == "dense":
            shapes = {"kernel": (self.channels_in, self.channels), "bias": (self.channels,)}
        return {f"{self.name}/{weight}": shape for weight, shape in shapes.items()}


def layers(architecture: Architecture) -> tuple[Layer, ...]:
    """All layers; the last two are EMBEDDING and LOGITS. Those of row i are named ``i/<part>``."""
    chain = _Chain(architecture.height, architecture.width, architecture.channels)
    for position, row in enumerate(architecture.rows):
        chain.row(str(position), row)
    names = ["pool", *(f"head/{place}" for place in range(len(architecture.head) - 1))][: len(architecture.head)]
    names.append(EMBEDDING)
    chain.append(names[0], "pool", chain.channels, size=(1, 1), form=_Form(vector=True))
    for name, row in zip(names[1:], architecture.head, strict=True):
        chain.append(name, "dense", row.output, form=_Form(activation=row.activation, vector=True))
    chain.append(LOGITS, "dense", architecture.classes, form=_Form(vector=True))
    return tuple(chain.layers)


def row_layers(row: Row, height: int, width: int, channels: int) -> tuple[Layer, ...]:
    """The layers of a single row, on an input of (height, width, channels); named as those of row 0."""
    chain = _Chain(height, width, channels)
    chain.row("0", row)
    return tuple(chain.layers)


class _Form(NamedTuple):
    kernel: int = 1
    stride: int = 1
    activation: Activation = "linear"
    vector: bool = False
    padding: LayerPadding = "same"


class _Chain:
    """The layers so far, and the name and size of the last output."""

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.layers: list[Layer] = []
        self.last, self.channels, self.size = INPUT, channels, (height, width)

    def row(self, name: str, row: Row) -> None:
        match row:
            case Convolution():
                form = _Form(row.kernel, row.stride, row.activation)
                self.convolve(f"{name}/convolution", row.output, form)
            case DepthwiseSeparable():
                # Zeros behind an even map are those of "same" padding; behind an odd one no window reaches them.
                odd = all(side > 1 and side % 2 for side in self.size)
                padding: LayerPadding = "valid" if row.padding == "after" and odd else "same"
                form = _Form(row.kernel, row.stride, row.activation, padding=padding)
                self.convolve(f"{name}/depthwise", self.channels, form, "depthwise")
                self.convolve(f"{name}/pointwise", row.output, _Form(activation=row.activation))
            case InvertedResidual():
                self._invert(name, row)

    def _invert(self, name: str, row: InvertedResidual) -> None:
        before, channels = self.last, self.channels
        if row.expands(channels):
            self.convolve(f"{name}/expand", row.expanded, _Form(activation=row.activation))
        form = _Form(row.kernel, row.stride, row.activation)
        self.convolve(f"{name}/depthwise", row.expanded, form, "depthwise")
        if row.squeeze:
            self._squeeze(name, row.squeeze)
        self.convolve(f"{name}/project", row.output, _Form())
        if row.adds(channels):
            self.append(f"{name}/add", "add", row.output, inputs=(before, self.last))

    def _squeeze(self, name: str, squeeze: int) -> None:
        features, channels, size = self.last, self.channels, self.size
        self.append(f"{name}/squeeze", "pool", channels, size=(1, 1))
        self.append(f"{name}/reduce", "dense", squeeze, form=_Form(activation="relu"))
        self.append(f"{name}/gate", "dense", channels, form=_Form(activation="hard-sigmoid"))
        self.append(f"{name}/excite", "multiply", channels, inputs=(features, self.last), size=size)

    def convolve(
        self, name: str, channels: int, form: _Form, kind: Literal["convolution", "depthwise"] = "convolution"
    ) -> None:
        # With "same" padding the output covers the input whatever the kernel, so only the stride counts.
        lost = form.kernel - 1 if form.padding == "valid" else 0
        height, width = (-(-(side - lost) // form.stride) for side in self.size)
        self.append(name, kind, channels, size=(height, width), form=form)

    def append(
        self,
        name: str,
        kind: Kind,
        channels: int,
        *,
        inputs: tuple[str, ...] = (),
        size: tuple[int, int] | None = None,
        form: _Form | None = None,
    ) -> None:
        self.size = size or self.size
        before = inputs or (self.last,)
        self.layers.append(Layer(name, kind, before, *self.size, self.channels, channels, *(form or _Form())))
        self.last, self.channels = name, channels
