"""Reading weights from a PyTorch file, without PyTorch and without executing its pickle.

``torch.save`` writes a state dict as a pickle whose tensors point into raw storages, either one after the other
(before PyTorch 1.6) or in a zip file. A pickle is a program, so an untrusted one must not be executed. Here
its opcodes are interpreted, and only what a state dict needs is supported: dictionaries, tuples, strings, numbers,
and the callables and storage types below, which stay names and are never imported. Anything else is refused.
"""

import io
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from lykeion.core import first_line

from .published_weights import WeightsError

MAX_FILE_BYTES = 2 << 30
MAX_OPCODES = 2_000_000
MAX_TENSORS = 100_000

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_STORAGES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
    "torch ShortStorage": "<i2",
    "torch CharStorage": "i1",
    "torch ByteStorage": "u1",
    "torch BoolStorage": "?",
}
_CALLABLES = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """The state dict in ``path``, by name. Raises WeightsError."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise WeightsError(f"{path}: larger than {MAX_FILE_BYTES >> 30} GiB; split the weights")
        content = path.read_bytes()
        if zipfile.is_zipfile(io.BytesIO(content)):
            return _read_zip(content)
        return _read_legacy(io.BytesIO(content))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; give a PyTorch state dict") from None
    except (_Refused, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        cause = first_line(error)
        raise WeightsError(f"{path}: not a PyTorch state dict that can be read safely: {cause}") from None
    except (struct.error, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise WeightsError(f"{path}: damaged PyTorch file ({error}); fetch it again") from None


class _Refused(Exception):
    """The pickle does something that no state dict does."""


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    magic, protocol, system = (_interpret(file) for _ in range(3))
    if magic != _LEGACY_MAGIC or protocol != _LEGACY_PROTOCOL:
        raise _Refused("it does not start like a file of torch.save")
    if not system["little_endian"]:
        raise _Refused("it is big-endian")
    state, keys = _interpret(file), _interpret(file)
    wanted = {tensor.storage.key: tensor.storage for tensor in _tensors(state).values()}
    data: dict[str, bytes] = {}
    for key in keys:
        storage = wanted[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.count:
            raise _Refused(f"storage {key!r} holds {count} numbers, not {storage.count}")
        data[key] = file.read(count * np.dtype(storage.dtype).itemsize)
    return _arrays(state, data.__getitem__)


def _read_zip(content: bytes) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = {entry.filename.partition("/")[2]: entry for entry in archive.infolist()}

        # torch.save stores and never deflates, so that no entry, nor all of them, can be larger than the file.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise _Refused("it is compressed")
        if sum(entry.file_size for entry in archive.infolist()) > len(content):
            raise _Refused("its entries overlap")

        def read(name: str) -> bytes:
            return archive.read(entries[name])

        if "byteorder" in entries and read("byteorder") != b"little":
            raise _Refused("it is big-endian")
        return _arrays(_interpret(io.BytesIO(read("data.pkl"))), lambda key: read(f"data/{key}"))


def _tensors(state: Any) -> dict[str, _Tensor]:
    if not isinstance(state, dict) or len(state) > MAX_TENSORS:
        raise _Refused("it has no dictionary of tensors")
    for name, tensor in state.items():
        if not isinstance(tensor, _Tensor) or not isinstance(name, str):
            raise _Refused(f"its entry {name!r} is no tensor")
    return state


def _arrays(state: Any, read: Callable[[str], bytes]) -> dict[str, np.ndarray]:
    tensors = _tensors(state)
    storages: dict[_Storage, np.ndarray] = {}
    total_bytes = 0
    for tensor in tensors.values():
        storage = tensor.storage
        total_bytes += prod(tensor.shape) * np.dtype(storage.dtype).itemsize
        if total_bytes > MAX_FILE_BYTES:  # many tensors may share one storage
            raise _Refused("its tensors would take more memory than is allowed")
        if storage not in storages:
            data = read(storage.key)
            if len(data) != storage.count * np.dtype(storage.dtype).itemsize:
                raise _Refused(f"storage {storage.key!r} is truncated")
            storages[storage] = np.frombuffer(data, storage.dtype)
    return {name: _array(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _array(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """A copy in C order. Checks that every element is inside the storage and that none is used twice."""
    if len(tensor.shape) != len(tensor.strides) or len(tensor.shape) > 8:
        raise _Refused("a tensor's shape and strides are inconsistent")
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or prod(tensor.shape) > storage.size:
        raise _Refused("a tensor reaches outside its storage")
    last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    if prod(tensor.shape) and tensor.offset + last >= storage.size:
        raise _Refused("a tensor reaches outside its storage")
    view = np.lib.stride_tricks.as_strided(
        storage[tensor.offset :], tensor.shape, [step * storage.itemsize for step in tensor.strides]
    )
    return np.array(view, order="C")


_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "SHORT_BINUNICODE"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}


def _interpret(file: BinaryIO) -> Any:
    """The value of the next pickle in ``file``. Raises _Refused at the first unknown opcode or name."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count > MAX_OPCODES:
            raise _Refused(f"its pickle has more than {MAX_OPCODES:,} opcodes")
        name = opcode.name
        if name == "STOP":
            return stack.pop()
        if name == "PROTO":
            continue
        if name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _LITERALS:
            stack.append(argument)
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "TUPLE":
            stack.append(tuple(_pop_to_mark(stack)))
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "APPENDS":
            items = _pop_to_mark(stack)
            stack[-1].extend(items)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _set(stack[-1], [key, value])
        elif name == "SETITEMS":
            items = _pop_to_mark(stack)
            _set(stack[-1], items)
        elif name == "GLOBAL":
            stack.append(_name(argument))
        elif name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_call(function, arguments))
        elif name == "BUILD":
            # A state dict's attributes: its _metadata, which is not about the weights.
            stack.pop()
        else:
            raise _Refused(f"its pickle uses {name}, which no state dict needs")
    raise _Refused("its pickle has no end")


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    mark = next((place for place in range(len(stack) - 1, -1, -1) if stack[place] is _MARK), None)
    if mark is None:
        raise _Refused("its pickle has no mark where one is needed")
    items = stack[mark + 1 :]
    del stack[mark:]
    return items


def _set(target: Any, items: list[Any]) -> None:
    if not isinstance(target, dict) or len(items) % 2:
        raise _Refused("its pickle sets items of something that is not a dictionary")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | int):
            raise _Refused("a dictionary's key is not a string")
        target[key] = value


@dataclass(frozen=True)
class _Name:
    """A global that the pickle names. It stays a name."""

    text: str


def _name(text: str) -> _Name:
    if text not in _CALLABLES and text not in _STORAGES:
        raise _Refused(f"its pickle refers to {text.replace(' ', '.')!r}, which no state dict needs")
    return _Name(text)


def _storage(identity: Any) -> _Storage:
    kind, storage, key, _, count = identity[:5]
    if kind != "storage" or not isinstance(key, str) or type(count) is not int or count < 0:
        raise _Refused("a storage is not described like those of torch.save")
    return _Storage(key, _STORAGES[storage.text], count)


def _call(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case _Name("collections OrderedDict"), ():
            return {}
        case _Name("torch._utils _rebuild_tensor_v2"), (_Storage() as storage, offset, shape, strides, *_):
            numbers = (offset, *shape, *strides)
            if all(type(number) is int for number in numbers):
                return _Tensor(storage, offset, shape, strides)
        case _Name("torch._utils _rebuild_parameter"), (_Tensor() as tensor, *_):
            return tensor
        case _:
            pass
    raise _Refused("its pickle makes a call that no state dict needs")
