"""Input and output of a LiteRT model from its metadata.

The metadata is a FlatBuffer (TensorFlow Lite's metadata_schema.fbs, identifier M001) kept in a buffer of the model,
itself a FlatBuffer (schema.fbs, identifier TFL3). Both are untrusted and read field by field, with every offset
checked against the file and without loading the weights.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from .errors import CardError

MAX_ELEMENTS = 4_096
_FLOAT32 = 0  # TensorType; integer inputs carry their normalisation in their quantization


def read_metadata(model: Path) -> dict[str, Any]:
    """The fields of a ModelCard for a model of one image input and one embedding output.

    The whole photo is stretched to the input, as LiteRT's and MediaPipe's runtimes do with metadata alone. Raises
    CardError if the file is not a LiteRT model or its metadata is incomplete.
    """
    try:
        with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _card(_Table.root(data, b"TFL3", "not a LiteRT model"), model.stem)
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise CardError(getattr(error, "strerror", None) or str(error)) from None
    except (struct.error, IndexError, UnicodeDecodeError):
        raise CardError("a damaged LiteRT model") from None


def _card(model: "_Table", stem: str) -> dict[str, Any]:
    graph = model.tables(2)[0]
    tensors, inputs, outputs = graph.tables(0), graph.numbers(1, "i"), graph.numbers(2, "i")
    metadata = _metadata(model)
    described = metadata.tables(3)[0]
    if len(inputs) != 1 or len(outputs) != 1:
        raise CardError(
            f"{len(inputs)} inputs and {len(outputs)} outputs, and its metadata does not say which to use"
        )
    given, made = tensors[inputs[0]], tensors[outputs[0]]
    shape = given.numbers(0, "i")
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise CardError(f"its input is of shape {shape}, not (1, height, width, 3 or 1)")
    mean, std = _normalisation(described, given.number(1, "b"), shape[3])
    return {
        "name": metadata.text(0) or stem,
        "height": shape[1],
        "width": shape[2],
        "channels": "RGB" if shape[3] == 3 else "grey",
        "mean": mean,
        "std": std,
        "crop": "stretch",
        "crop_fraction": 1.0,
        "output": _signature_name(model, outputs[0]) or made.text(3),
        "dimension": made.numbers(0, "i")[-1],
        "source": metadata.text(4),
        "licence": metadata.text(5),
    }


def _signature_name(model: "_Table", output: int) -> str:
    """The output's name in the model's signature, by which engines know it where there is exactly one."""
    signatures = model.tables(7)
    named = signatures[0].tables(1) if len(signatures) == 1 else []
    return next((entry.text(0) for entry in named if entry.number(1, "I") == output), "")


def _metadata(model: "_Table") -> "_Table":
    for entry in model.tables(6):
        if entry.text(0) == "TFLITE_METADATA":
            content = model.tables(4)[entry.number(1, "I")].bytes(0)
            return _Table.root(content, b"M001", "damaged metadata")
    raise CardError("it has no metadata")


def _normalisation(described: "_Table", kind: int, channels: int) -> tuple[list[float], list[float]]:
    for unit in described.tables(2)[0].tables(4):
        if unit.number(0, "B") == 1:  # NormalizationOptions
            options = unit.table(1)
            mean, std = options.numbers(0, "f"), options.numbers(1, "f")
            return mean * (channels if len(mean) == 1 else 1), std * (channels if len(std) == 1 else 1)
    if kind == _FLOAT32:
        raise CardError("its metadata has no normalisation")
    return [0.0] * channels, [1.0] * channels


class _Table:
    """A FlatBuffer table, read in place. Raises struct.error or IndexError if an offset is outside the buffer."""

    def __init__(self, data: Any, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - self._unpack("i", at)

    @classmethod
    def root(cls, data: Any, identifier: bytes, otherwise: str) -> "_Table":
        if data[4:8] != identifier:
            raise CardError(otherwise)
        return cls(data, int.from_bytes(data[:4], "little"))

    def number(self, field: int, kind: str) -> Any:
        """A scalar of struct format ``kind``; 0 where absent, which is the default of every field read here."""
        at = self._place(field)
        return self._unpack(kind, at) if at else 0

    def text(self, field: int) -> str:
        return self.bytes(field).decode()

    def bytes(self, field: int) -> bytes:
        at, length = self._vector(field)
        if at + length > len(self._data):
            raise IndexError
        return self._data[at : at + length]

    def numbers(self, field: int, kind: str) -> list[Any]:
        at, length = self._vector(field, MAX_ELEMENTS)
        size = struct.calcsize("<" + kind)
        return [self._unpack(kind, at + size * place) for place in range(length)]

    def table(self, field: int) -> "_Table":
        at = self._place(field)
        if not at:
            raise IndexError
        return _Table(self._data, self._follow(at))

    def tables(self, field: int) -> list["_Table"]:
        at, length = self._vector(field, MAX_ELEMENTS)
        return [_Table(self._data, self._follow(at + 4 * place)) for place in range(length)]

    def _vector(self, field: int, most: int | None = None) -> tuple[int, int]:
        """The offset of a vector's first element, and their number."""
        at = self._place(field)
        if not at:
            return 0, 0
        at = self._follow(at)
        length = self._unpack("I", at)
        if most is not None and length > most:
            raise IndexError
        return at + 4, length

    def _place(self, field: int) -> int:
        """The field's offset; 0 if it is absent."""
        slot = 4 + 2 * field
        if slot >= self._unpack("H", self._fields):
            return 0
        offset = self._unpack("H", self._fields + slot)
        return self._at + offset if offset else 0

    def _follow(self, at: int) -> int:
        return at + self._unpack("I", at)

    def _unpack(self, kind: str, at: int) -> Any:
        if at < 0:  # which Python would count from the end
            raise IndexError
        return struct.unpack_from("<" + kind, self._data, at)[0]
