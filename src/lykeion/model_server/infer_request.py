"""An inference request: from its body to the tensors that the model takes. Pure; raises BadInferRequest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from .datatypes import BYTES
from .errors import BadInferRequest, LacksPart
from .infer_messages import InferMessage, OutputMessage, Parameters, TensorMessage, read_message
from .model_signature import ModelSignature
from .tensor_data import from_binary, from_json, strings_from_base64, strings_from_binary

MAX_CLASSES = 1_000
_NOT_OFFERED = ("shared_memory_region", "sequence_id")


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """``classes`` is how many of the most likely classes are wanted, instead of the tensor; 0 for the tensor."""

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class InferRequest:
    """``values`` are the model's inputs in order, all of the same number of rows; empty if ``photos``, encoded
    photos, one a row, come instead. ``timeout_s`` is None if the request sets no limit."""

    values: tuple[np.ndarray, ...] = ()
    photos: tuple[bytes, ...] = ()
    outputs: tuple[WantedOutput, ...] = ()
    id: str | None = None
    timeout_s: float | None = None


def read_request(body: memoryview, json_bytes: int | None, model: ModelSignature) -> InferRequest:
    """``json_bytes`` is the size of the JSON at the body's beginning, before binary tensors; None if all is JSON.
    With 0 the body is the one row of the one input, and all outputs are wanted as binary data."""
    if json_bytes == 0:
        return _raw_request(body, model)
    if json_bytes is not None and json_bytes > len(body):
        raise BadInferRequest(f"the JSON is announced with {json_bytes:,} bytes; the body has {len(body):,}")
    message = read_message(body[:json_bytes])
    _refuse_unoffered(message.parameters, "parameters")
    values, photos = _read_inputs(message, _BinaryPart(body[json_bytes:] if json_bytes else body[:0]), model)
    return InferRequest(values, photos, _wanted(message, model), message.id, _timeout(message.parameters or {}))


@dataclass(slots=True)
class _BinaryPart:
    """The binary data after the JSON, which inputs take in their order."""

    data: memoryview
    taken: int = field(default=0)

    def take(self, size: object) -> memoryview:
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(self.data) - self.taken:
            left = len(self.data) - self.taken
            raise BadInferRequest(f"binary_data_size is {_shown(size)}; {left:,} bytes of binary data are left")
        self.taken += size
        return self.data[self.taken - size : self.taken]

    def check_end(self) -> None:
        if left := len(self.data) - self.taken:
            raise BadInferRequest(f"{left:,} bytes follow the tensors that binary_data_size announces")


def _raw_request(body: memoryview, model: ModelSignature) -> InferRequest:
    if len(model.inputs) != 1:
        raise BadInferRequest(f"the model has {len(model.inputs)} inputs, so a request needs JSON that names them")
    (only,) = model.inputs
    outputs = tuple(WantedOutput(each.name, binary=True) for each in model.outputs)
    return InferRequest((from_binary(body, only.datatype, (1, *only.row)),), outputs=outputs)


def _read_inputs(
    message: InferMessage, binary: _BinaryPart, model: ModelSignature
) -> tuple[tuple[np.ndarray, ...], tuple[bytes, ...]]:
    found: dict[str, np.ndarray] = {}
    photos: tuple[bytes, ...] = ()
    for place, given in enumerate(message.inputs):
        where = f"inputs[{place}] ({given.name[:64]!r})"
        try:
            if given.name in found or (photos and given.name == model.inputs[0].name):
                raise BadInferRequest("the input is given twice")
            _refuse_unoffered(given.parameters, "parameters")
            data = _binary_data(given, binary)
            if given.datatype == BYTES:
                photos = _read_photos(given, data, model)
            else:
                found[given.name] = _read_tensor(given, data, model)
        except (BadInferRequest, LacksPart) as error:
            raise type(error)(f"{where}: {error}") from None
    binary.check_end()
    if photos:
        if found:
            raise BadInferRequest("inputs: photos come instead of all tensors")
        return (), photos
    for each in model.inputs:
        if each.name not in found:
            raise BadInferRequest(f"inputs: {each.name!r} is missing")
    values = tuple(found[each.name] for each in model.inputs)
    if len({len(each) for each in values}) > 1:
        raise BadInferRequest(f"inputs: they have {' and '.join(str(len(each)) for each in values)} rows")
    return values, ()


def _binary_data(given: TensorMessage, binary: _BinaryPart) -> memoryview | None:
    """The input's binary data; None if its data are in the JSON."""
    size = (given.parameters or {}).get("binary_data_size")
    if size is None:
        if not given.has_data:
            raise BadInferRequest("neither data nor the parameter binary_data_size is given")
        return None
    if given.has_data:
        raise BadInferRequest("data and the parameter binary_data_size are both given")
    return binary.take(size)


def _read_tensor(given: TensorMessage, data: memoryview | None, model: ModelSignature) -> np.ndarray:
    model.input(given.name).check(given.datatype, given.shape)
    model.check_rows(given.shape[0])
    if data is None:
        return from_json(memoryview(given.data), given.datatype, given.shape)
    return from_binary(data, given.datatype, given.shape)


def _read_photos(given: TensorMessage, data: memoryview | None, model: ModelSignature) -> tuple[bytes, ...]:
    """Photos as they are in files: shape [n] or [n, 1]."""
    if model.input(given.name) is not model.inputs[0] or len(model.inputs) > 1:
        raise BadInferRequest("photos can be given to a model of one input only")
    if len(given.shape) not in (1, 2) or given.shape[1:] not in ([], [1]):
        raise BadInferRequest(f"shape {given.shape}; photos have shape [n] or [n, 1]")
    model.check_rows(count := prod(given.shape))
    if data is not None:
        return tuple(strings_from_binary(data, count))
    if (given.parameters or {}).get("content_type") != "base64":
        raise BadInferRequest("photos in JSON are in base64, with the parameter content_type: base64")
    return tuple(strings_from_base64(memoryview(given.data), given.shape))


def _wanted(message: InferMessage, model: ModelSignature) -> tuple[WantedOutput, ...]:
    """All outputs if none is named."""
    binary = _flag(message.parameters or {}, "binary_data_output", "parameters", otherwise=False)
    if not message.outputs:
        return tuple(WantedOutput(each.name, binary) for each in model.outputs)
    wanted = tuple(_read_outputs(message.outputs, model, binary))
    if len({each.name for each in wanted}) < len(wanted):
        raise BadInferRequest("outputs: an output is named twice")
    return wanted


def _read_outputs(outputs: Sequence[OutputMessage], model: ModelSignature, binary: bool) -> Iterator[WantedOutput]:
    for place, each in enumerate(outputs):
        where = f"outputs[{place}] ({each.name[:64]!r})"
        try:
            signature = model.output(each.name)
        except BadInferRequest as error:
            raise BadInferRequest(f"{where}: {error}") from None
        parameters = each.parameters or {}
        _refuse_unoffered(parameters, f"{where}: parameters")
        classes = parameters.get("classification", 0)
        if not isinstance(classes, int) or isinstance(classes, bool) or not 0 <= classes <= MAX_CLASSES:
            raise BadInferRequest(
                f"{where}: classification is {_shown(classes)}; give a number from 1 to {MAX_CLASSES:,}"
            )
        if classes and len(signature.row) != 1:
            raise BadInferRequest(f"{where}: shape {[-1, *signature.row]} holds no classes")
        yield WantedOutput(each.name, _flag(parameters, "binary_data", where, otherwise=binary), classes)


def _flag(parameters: Parameters, name: str, where: str, *, otherwise: bool) -> bool:
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise BadInferRequest(f"{where}: {name} is {_shown(value)}; give true or false")
    return value


def _timeout(parameters: Parameters) -> float | None:
    """In seconds; Triton's parameter is in microseconds, 0 for none."""
    value = parameters.get("timeout", 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadInferRequest(f"parameters: timeout is {_shown(value)}; give microseconds")
    return value / 1e6 if value else None


def _shown(value: object) -> str:
    return repr(value)[:64]


def _refuse_unoffered(parameters: Parameters | None, where: str) -> None:
    """Refuse what would silently do something else."""
    for name in _NOT_OFFERED:
        if name in (parameters or {}):
            raise LacksPart(f"{where}: {name} is not offered by this server")
