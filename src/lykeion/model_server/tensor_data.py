"""Tensors as JSON and as binary data, of the Open Inference Protocol and its binary tensor data extension.

Binary tensors are row-major and little-endian. JSON tensors are nested as their shape says, or flat.
Everything here raises BadInferRequest.
"""

import struct
from base64 import b64decode
from collections.abc import Iterable, Sequence
from functools import cache
from math import prod
from typing import Any

import msgspec
import numpy as np

from .datatypes import BYTES, DTYPES
from .errors import BadInferRequest

MAX_NUMBERS = 1 << 20
"""That are written as JSON, which takes many times their memory."""
_ALIGNMENT = 16
_LENGTH = struct.Struct("<I")


def aligned(parts: Sequence[bytes], first: int) -> memoryview:
    """All parts in one. The byte at ``first``, where binary data begin, has the alignment of any datatype, and can be
    written: engines copy tensors that are otherwise."""
    size = sum(map(len, parts))
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -(room.ctypes.data + first) % _ALIGNMENT
    view, place = room.data[start : start + size], 0
    for part in parts:
        view[place : place + len(part)] = part
        place += len(part)
    return view


def from_binary(data: memoryview, datatype: str, shape: Sequence[int]) -> np.ndarray:
    """The tensor in exactly these bytes, without a copy where their alignment allows."""
    dtype, count = DTYPES[datatype], prod(shape)
    if len(data) != count * dtype.itemsize:
        raise BadInferRequest(
            f"{len(data):,} bytes of binary data; {datatype} of shape {list(shape)} takes {count * dtype.itemsize:,}"
        )
    values = np.frombuffer(data, np.uint8 if datatype == "BOOL" else dtype)
    if datatype == "BOOL":
        if values.size and values.max() > 1:
            raise BadInferRequest("a byte of a BOOL tensor is neither 0 nor 1")
        values = values.view(np.bool_)
    return np.require(values, requirements=["A"]).reshape(shape)


def from_json(data: memoryview, datatype: str, shape: Sequence[int]) -> np.ndarray:
    """Numbers that the datatype cannot represent are refused: fractions of integers, overflows."""
    values = _array(_items(data, datatype, shape), DTYPES[datatype])
    if values.size != prod(shape) or (values.ndim > 1 and values.shape != tuple(shape)):
        raise BadInferRequest(f"data has shape {list(values.shape)}; the tensor's is {list(shape)}")
    return values.reshape(shape)


def strings_from_binary(data: memoryview, count: int) -> list[bytes]:
    """The elements of a BYTES tensor: each is a length of 4 bytes and as many bytes."""
    found: list[bytes] = []
    place = 0
    while place < len(data) and len(found) <= count:
        start = place + _LENGTH.size
        if start > len(data) or start + (length := _LENGTH.unpack_from(data, place)[0]) > len(data):
            raise BadInferRequest(f"element {len(found)} of a BYTES tensor is longer than the data that is left")
        found.append(bytes(data[start : start + length]))
        place = start + length
    return _counted(found, count)


def strings_from_base64(data: memoryview, shape: Sequence[int]) -> list[bytes]:
    """The elements of a BYTES tensor that came as JSON strings, each in base64."""
    items = np.array(_items(data, BYTES, shape), dtype=object)
    try:
        return _counted([b64decode(item, validate=True) for item in items.reshape(-1)], prod(shape))
    except ValueError as error:
        raise BadInferRequest(f"data: not base64: {error}") from None


def to_binary(values: np.ndarray) -> bytes:
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def strings_to_binary(strings: Iterable[bytes]) -> bytes:
    return b"".join(part for string in strings for part in (_LENGTH.pack(len(string)), string))


def to_json(values: np.ndarray, name: str) -> list[Any]:
    """The elements in row-major order, at most MAX_NUMBERS. JSON has no NaN and no infinity."""
    if values.size > MAX_NUMBERS:
        raise BadInferRequest(f"output {name!r} has {values.size:,} numbers; ask for binary_data")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise BadInferRequest(f"output {name!r} holds NaN or infinity, which JSON cannot; ask for binary_data")
    return values.reshape(-1).tolist()


def _counted(strings: list[bytes], count: int) -> list[bytes]:
    if len(strings) != count:
        more = "more than " if len(strings) > count else ""
        raise BadInferRequest(f"{more}{min(len(strings), count)} elements of BYTES; the shape has {count}")
    return strings


def _items(data: memoryview, datatype: str, shape: Sequence[int]) -> list[Any]:
    depth = _depth(bytes(data[:64]))
    if not depth:
        raise BadInferRequest("data: not a list")
    if depth not in (1, len(shape)):
        raise BadInferRequest(f"data is nested {depth} deep; give it flat, or {len(shape)} deep as its shape")
    try:
        return _decoder(_ELEMENTS[datatype], depth).decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInferRequest(f"data: {error}") from None


def _depth(beginning: bytes) -> int:
    """How many lists are open before the first element."""
    depth = 0
    for byte in beginning:
        if byte not in b"[ \t\r\n":
            break
        depth += byte == ord("[")
    return depth


_ELEMENTS: dict[str, type] = {
    name: {"b": bool, "u": int, "i": int, "f": float}[dtype.kind] for name, dtype in DTYPES.items()
} | {BYTES: str}


@cache
def _decoder(element: type, depth: int) -> msgspec.json.Decoder[Any]:
    nested: Any = element
    for _ in range(depth):
        nested = list[nested]
    return msgspec.json.Decoder(nested)


def _array(items: list[Any], dtype: np.dtype) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            values = np.array(items, dtype)
    except (ValueError, OverflowError) as error:
        lists = "inhomogeneous" in str(error)
        raise BadInferRequest("data: its lists differ in length" if lists else f"data: {error}") from None
    if dtype.kind == "f" and not np.isfinite(values).all():
        raise BadInferRequest(f"data: a number is too large for {dtype.name}")
    return values
