"""An architecture as plain data: rows of channels, kernels and strides, to and from JSON.

A row says how many channels it has inside and gives out, so that a structurally pruned network, or one that a search
found, is written down in the same way as a published one.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from lykeion.core import LykeionError

SCHEMA = "lykeion.architecture"
VERSION = 1

Activation: TypeAlias = Literal["linear", "relu", "relu6"]


class ArchitectureError(LykeionError):
    """An architecture that cannot be read or makes no network; the message names the row."""


@dataclass(frozen=True, slots=True)
class Convolution:
    """A dense convolution with "same" padding, batch norm and activation."""

    kind: ClassVar[str] = "convolution"
    output: int
    kernel: int
    stride: int = 1
    activation: Activation = "relu6"


@dataclass(frozen=True, slots=True)
class InvertedResidual:
    """MobileNetV2's block: 1×1 expansion, depthwise convolution, linear 1×1 projection (arXiv:1801.04381).

    Where ``expanded`` equals the incoming channels there is no expansion convolution; where the stride is 1 and
    ``output`` equals the incoming channels the input is added to the output.
    """

    kind: ClassVar[str] = "inverted-residual"
    expanded: int
    output: int
    kernel: int
    stride: int = 1
    activation: Activation = "relu6"


Row: TypeAlias = Convolution | InvertedResidual
_ROWS: dict[str, type[Row]] = {row.kind: row for row in get_args(Row)}


@dataclass(frozen=True, slots=True)
class Architecture:
    """A classifier: ``rows`` on RGB photos of (height, width), global average pooling, a dense layer of ``classes``.

    The pooled features are the embedding. ``epsilon`` is batch norm's. Raises ArchitectureError.
    """

    name: str
    height: int
    width: int
    rows: tuple[Row, ...]
    classes: int
    epsilon: float = 1e-3

    def __post_init__(self) -> None:
        if not self.rows:
            raise ArchitectureError(f"architecture {self.name!r} has no rows; give at least one")
        if not 0 < self.epsilon < 1:
            raise ArchitectureError(f"architecture {self.name!r}: epsilon is {self.epsilon}; give one in (0, 1)")
        for field in ("height", "width", "classes"):
            _check_size(self.name, "the network", field, getattr(self, field))
        for position, row in enumerate(self.rows):
            where = f"row {position} ({row.kind})"
            for field in ("expanded", "output", "kernel", "stride"):
                if hasattr(row, field):
                    _check_size(self.name, where, field, getattr(row, field))
            if row.activation not in get_args(Activation):
                raise ArchitectureError(
                    f"architecture {self.name!r}, {where}: activation {row.activation!r} is unknown; "
                    f"use one of {', '.join(get_args(Activation))}"
                )

    @property
    def dimension(self) -> int:
        """Length of the embedding: channels of the last row."""
        return self.rows[-1].output

    def to_json(self) -> dict[str, Any]:
        """A JSON value, read again by ``from_json``."""
        plain = asdict(self)
        plain["rows"] = [{"kind": row.kind, **asdict(row)} for row in self.rows]
        return {"schema": SCHEMA, "version": VERSION, **plain}

    @classmethod
    def from_json(cls, value: str | bytes | dict[str, Any]) -> "Architecture":
        """Read JSON text or a JSON value. Raises ArchitectureError."""
        try:
            plain = dict(json.loads(value) if isinstance(value, str | bytes) else value)
            schema, version = plain.pop("schema", None), plain.pop("version", None)
            if schema != SCHEMA:
                raise ArchitectureError(f'not an architecture: its "schema" is {schema!r}, not {SCHEMA!r}')
            if version != VERSION:
                raise ArchitectureError(
                    f"architecture of version {version!r}; this release reads version {VERSION}: "
                    "use a matching release"
                )
            rows = tuple(_row(row) for row in plain.pop("rows"))
            return cls(rows=rows, **plain)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ArchitectureError(f"not an architecture: {str(error).splitlines()[0]}") from None


def _row(plain: dict[str, Any]) -> Row:
    fields = dict(plain)
    kind = fields.pop("kind")
    if kind not in _ROWS:
        raise ArchitectureError(f"row kind {kind!r} is unknown; this release knows {', '.join(_ROWS)}")
    return _ROWS[kind](**fields)


def _check_size(name: str, where: str, field: str, value: Any) -> None:
    if type(value) is not int or not 1 <= value <= 65536:
        raise ArchitectureError(
            f"architecture {name!r}, {where}: {field} is {value!r}; give a whole number from 1 to 65536"
        )
