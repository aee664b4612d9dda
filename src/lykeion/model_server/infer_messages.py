"""The JSON of an inference request and response, as the protocol has it; unknown fields are skipped."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from .errors import BadInferRequest

MAX_JSON_BYTES = 16 << 20
"""Of a request. JSON takes many times the memory of a tensor; larger ones come as binary data."""
MAX_TENSORS = 64

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=512)]
Text: TypeAlias = Annotated[str, Meta(max_length=4_096)]
Parameters: TypeAlias = dict[Name, bool | int | float | Text]
Shape: TypeAlias = Annotated[list[Annotated[int, Meta(ge=0, le=1 << 40)]], Meta(max_length=16)]


class TensorMessage(Struct, frozen=True):
    """An input of a request."""

    name: Name
    shape: Shape
    datatype: Name
    parameters: Parameters | None = None
    data: Raw = msgspec.field(default_factory=Raw)

    @property
    def has_data(self) -> bool:
        """Whether the elements are in the JSON."""
        return bytes(memoryview(self.data)[:5]) not in (b"", b"null")


class OutputMessage(Struct, frozen=True):
    """An output that is asked for."""

    name: Name
    parameters: Parameters | None = None


class InferMessage(Struct, frozen=True):
    inputs: Annotated[list[TensorMessage], Meta(min_length=1, max_length=MAX_TENSORS)]
    id: Annotated[str, Meta(max_length=1_024)] | None = None
    outputs: Annotated[list[OutputMessage], Meta(max_length=MAX_TENSORS)] | None = None
    parameters: Parameters | None = None


def read_message(text: memoryview) -> InferMessage:
    """Raises BadInferRequest."""
    if len(text) > MAX_JSON_BYTES:
        raise BadInferRequest(
            f"the JSON is larger than {MAX_JSON_BYTES >> 20} MiB; send large tensors as binary data"
        )
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadInferRequest(f"not an inference request: {error}") from None


def message_schema() -> dict[str, Any]:
    """The JSON Schema of InferMessage, without references."""
    (schema,), parts = msgspec.json.schema_components([InferMessage])

    def inlined(value: Any) -> Any:
        if isinstance(value, list):
            return [inlined(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$ref" in value:
            return inlined(parts[value["$ref"].rpartition("/")[2]])
        return {name: inlined(each) for name, each in value.items()}

    return inlined(schema)


def write_message(message: dict[str, Any]) -> bytes:
    return msgspec.json.encode(message)


_decoder = msgspec.json.Decoder(InferMessage)
