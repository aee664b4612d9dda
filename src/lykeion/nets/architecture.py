"""An architecture as plain data: rows of channels, kernels and strides, to and from JSON.

A row has its inner and output channels, so that a structurally pruned network, or one that a search found, is
described in the same way as a published one.
"""

from dataclasses import MISSING, asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args

from lykeion.core import Invalid, fitting, parse_json, read_json_as
from lykeion.core.fields import Field, Fields

SCHEMA = "lykeion.architecture"
VERSION = 1
MAX_ROWS = 1000
MAX_FILE_BYTES = 1 << 20

Activation: TypeAlias = Literal["linear", "relu", "relu6", "hard-swish", "hard-sigmoid"]
"""hard-sigmoid(x) = relu6(x + 3) / 6, hard-swish(x) = x · hard-sigmoid(x), both of MobileNetV3 (arXiv:1905.02244)."""

Made = TypeVar("Made")
RowPadding: TypeAlias = Literal["same", "after"]


class ArchitectureError(Invalid):
    """An architecture that cannot be read or is invalid; the message names the row."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """A dense convolution with "same" padding, batch norm and activation."""

    kind: ClassVar[str] = "convolution"
    output: int
    kernel: int
    stride: int = 1
    activation: Activation = "relu6"


@dataclass(frozen=True, slots=True)
class DepthwiseSeparable:
    """MobileNetV1's block: depthwise convolution, 1×1 convolution, batch norm and activation after each
    (arXiv:1704.04861).

    With padding "after", of kernel 3 and stride 2, zeros are put behind the map alone, as keras.applications do: the
    last row and column of a map of odd sides are no centre of a window, and half of 7 is 3. Where just one side is
    odd, or a side is 1, it is "same".
    """

    kind: ClassVar[str] = "depthwise-separable"
    output: int
    kernel: int
    stride: int = 1
    activation: Activation = "relu6"
    padding: RowPadding = "same"


@dataclass(frozen=True, slots=True)
class InvertedResidual:
    """MobileNetV2's block: 1×1 expansion, depthwise convolution, linear 1×1 projection (arXiv:1801.04381).

    With ``squeeze`` channels, MobileNetV3's squeeze-and-excitation follows the depthwise convolution: its mean over
    the photo goes through ``squeeze`` channels (ReLU) to a hard-sigmoid gate on each channel (arXiv:1905.02244).

    By default there is an expansion convolution if ``expanded`` differs from the incoming channels, and the input is
    added to the output if the stride is 1 and ``output`` equals the incoming channels. ``expand`` and ``residual``
    override this, for pruned networks in which the numbers are equal by chance.
    """

    kind: ClassVar[str] = "inverted-residual"
    expanded: int
    output: int
    kernel: int
    stride: int = 1
    activation: Activation = "relu6"
    squeeze: int = 0
    expand: bool | None = None
    residual: bool | None = None

    def expands(self, channels: int) -> bool:
        """Whether it has an expansion convolution after ``channels`` incoming ones."""
        return self.expanded != channels if self.expand is None else self.expand

    def adds(self, channels: int) -> bool:
        """Whether it adds its input, of ``channels``, to its output."""
        return (self.stride == 1 and self.output == channels) if self.residual is None else self.residual


@dataclass(frozen=True, slots=True)
class FullyConnected:
    """A dense layer on the pooled features, with bias and activation and no batch norm: V3's light final block."""

    kind: ClassVar[str] = "fully-connected"
    output: int
    activation: Activation = "relu"


Row: TypeAlias = Convolution | DepthwiseSeparable | InvertedResidual
_ROWS: dict[str, type[Row]] = {row.kind: row for row in get_args(Row)}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A classifier: ``rows`` on photos of (height, width, channels), global average pooling, the ``head``'s dense
    layers, and a dense layer of ``classes``.

    The input of that last layer is the embedding: the head's output, or the pooled features without a head.
    ``epsilon`` is batch norm's. Raises ArchitectureError.
    """

    name: str
    height: int
    width: int
    rows: tuple[Row, ...]
    classes: int
    head: tuple[FullyConnected, ...] = ()
    channels: int = 3
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if type(self.name) is not str or len(self.name) > 200:
            raise ArchitectureError("an architecture's name must be a string of at most 200 characters")
        if not 1 <= len(self.rows) <= MAX_ROWS or len(self.head) > MAX_ROWS:
            raise ArchitectureError(f"architecture {self.name!r} has {len(self.rows)} rows; give 1 to {MAX_ROWS}")
        if not isinstance(self.epsilon, float) or not 0 < self.epsilon < 1:
            raise ArchitectureError(f"architecture {self.name!r}: epsilon is {self.epsilon}; give one in (0, 1)")
        for field in ("height", "width", "channels", "classes"):
            _check_size(self.name, "the network", field, getattr(self, field))
        for position, row in enumerate(self.head):
            _check(self.name, f"head row {position}", row)
        channels = self.channels
        for position, row in enumerate(self.rows):
            where = f"row {position} ({row.kind})"
            _check(self.name, where, row)
            if isinstance(row, InvertedResidual):
                _check_inverted(self.name, where, row, channels)
            elif isinstance(row, DepthwiseSeparable):
                _check_padding(self.name, where, row)
            channels = row.output

    @property
    def dimension(self) -> int:
        """Length of the embedding."""
        return (self.head or self.rows)[-1].output

    def to_json(self) -> dict[str, Any]:
        """A JSON value, read again by ``from_json``."""
        plain = asdict(self)
        plain["rows"] = [_plain(row) for row in self.rows]
        return {"schema": SCHEMA, "version": VERSION, **plain, "head": list(plain["head"])}

    @classmethod
    def from_json(cls, value: str | bytes | dict[str, Any]) -> "Architecture":
        """Read JSON text or a JSON value. Raises ArchitectureError."""
        with fitting(ArchitectureError, "architecture"):
            plain = dict(value) if isinstance(value, dict) else parse_json(value, ArchitectureError, "architecture")
            schema, version = plain.pop("schema", None), plain.pop("version", None)
            if schema != SCHEMA:
                raise ArchitectureError(f'not an architecture: its "schema" is {schema!r}, not {SCHEMA!r}')
            if version != VERSION:
                raise ArchitectureError(
                    f"architecture of version {version!r}; this release reads version {VERSION}: "
                    "use a matching release"
                )
            given = Fields("architecture", plain, ArchitectureError)
            rows = given.required("rows", lambda field: tuple(map(_row, field.items())))
            head = given.optional(
                "head", lambda field: tuple(_made(FullyConnected, row) for row in field.items()), ()
            )
            return _made(cls, Field("architecture", {**plain, "rows": rows, "head": head}, ArchitectureError))

    @classmethod
    def read(cls, path: Path) -> "Architecture":
        """Raises ArchitectureError, which names the file."""
        return read_json_as(cls.from_json, path, ArchitectureError, "architecture", limit=MAX_FILE_BYTES)


def _plain(row: Row) -> dict[str, Any]:
    """Without the padding that all had in older releases."""
    plain = {name: value for name, value in asdict(row).items() if (name, value) != ("padding", "same")}
    return {"kind": row.kind, **plain}


def _row(plain: Field) -> Row:
    given = plain.fields()
    kind = given.required("kind", lambda field: field.one_of(list(_ROWS)))
    rest = {name: value for name, value in given.values.items() if name != "kind"}
    return _made(_ROWS[kind], replace(plain, value=rest))


def _made(what: type[Made], plain: Field) -> Made:
    """Of the fields in a mapping, each of which the architecture checks. Raises ArchitectureError for those that are
    lacking or unknown."""
    given, known = plain.fields(), fields(what)  # pyright: ignore[reportArgumentType]
    given.only(*(each.name for each in known))
    for each in known:
        if each.default is MISSING:
            given.required(each.name, lambda field: field.value)
    return what(**given.values)


def _check(name: str, where: str, row: Row | FullyConnected) -> None:
    for field in ("expanded", "output", "kernel", "stride"):
        if hasattr(row, field):
            _check_size(name, where, field, getattr(row, field))
    if row.activation not in get_args(Activation):
        raise ArchitectureError(
            f"architecture {name!r}, {where}: activation {row.activation!r} is unknown; "
            f"use one of {', '.join(get_args(Activation))}"
        )


def _check_padding(name: str, where: str, row: DepthwiseSeparable) -> None:
    if row.padding not in get_args(RowPadding):
        raise ArchitectureError(
            f"architecture {name!r}, {where}: padding is {row.padding!r}; give {' or '.join(get_args(RowPadding))}"
        )
    if row.padding == "after" and (row.kernel, row.stride) != (3, 2):
        raise ArchitectureError(f"architecture {name!r}, {where}: padding 'after' is of kernel 3 and stride 2")


def _check_inverted(name: str, where: str, row: InvertedResidual, channels: int) -> None:
    if row.squeeze != 0 or type(row.squeeze) is not int:
        _check_size(name, where, "squeeze", row.squeeze)
    for field in ("expand", "residual"):
        if type(value := getattr(row, field)) not in (bool, type(None)):
            raise ArchitectureError(f"architecture {name!r}, {where}: {field} is {value!r}; give true, false or null")
    if not row.expands(channels) and row.expanded != channels:
        raise ArchitectureError(
            f"architecture {name!r}, {where}: no expansion, yet {row.expanded} channels from {channels}; "
            f"set expanded to {channels}"
        )
    if row.adds(channels) and (row.stride, row.output) != (1, channels):
        raise ArchitectureError(
            f"architecture {name!r}, {where}: a residual needs stride 1 and {channels} output channels; "
            f"it has stride {row.stride} and {row.output}"
        )


def _check_size(name: str, where: str, field: str, value: Any) -> None:
    if type(value) is not int or not 1 <= value <= 65536:
        raise ArchitectureError(
            f"architecture {name!r}, {where}: {field} is {value!r}; give a whole number from 1 to 65536"
        )
