"""The response to an inference request: JSON, followed by the tensors that are wanted as binary data. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .classification import top_classes
from .datatypes import BYTES
from .infer_messages import write_message
from .infer_request import InferRequest, WantedOutput
from .model_signature import ModelSignature
from .tensor_data import strings_to_binary, to_binary, to_json


@dataclass(frozen=True, slots=True)
class InferResponse:
    """``json_bytes`` is the size of the JSON at the body's beginning; None if the body is JSON alone."""

    body: bytes
    json_bytes: int | None


def write_response(
    request: InferRequest,
    found: Mapping[str, np.ndarray],
    model: ModelSignature,
    labels: Sequence[str],
    about: Mapping[str, str],
) -> InferResponse:
    """``about`` is the beginning of the JSON: the model's name and version.

    Raises BadInferRequest for numbers that JSON cannot hold.
    """
    outputs: list[dict[str, Any]] = []
    binary: list[bytes] = []
    for wanted in request.outputs:
        if wanted.classes:
            message, data = _classes(wanted, found[wanted.name], model, labels)
        else:
            message, data = _tensor(wanted, found[wanted.name], model)
        outputs.append(message)
        if data is not None:
            binary.append(data)
    known = {} if request.id is None else {"id": request.id}
    text = write_message({**about, **known, "outputs": outputs})
    if any("parameters" in each for each in outputs):
        return InferResponse(b"".join((text, *binary)), len(text))
    return InferResponse(text, None)


def _tensor(wanted: WantedOutput, values: np.ndarray, model: ModelSignature) -> tuple[dict[str, Any], bytes | None]:
    message = {"name": wanted.name, "datatype": model.output(wanted.name).datatype, "shape": list(values.shape)}
    if not wanted.binary:
        return {**message, "data": to_json(values, wanted.name)}, None
    return _with_binary(message, to_binary(values))


def _classes(
    wanted: WantedOutput, values: np.ndarray, model: ModelSignature, labels: Sequence[str]
) -> tuple[dict[str, Any], bytes | None]:
    scores = model.output(wanted.name).spec.decode(values)
    found = top_classes(scores, wanted.classes, labels if wanted.name == model.labelled else ())
    message = {"name": wanted.name, "datatype": BYTES, "shape": [len(found), len(found[0])]}
    strings = [str(each) for row in found for each in row]
    if not wanted.binary:
        return {**message, "data": strings}, None
    return _with_binary(message, strings_to_binary(string.encode() for string in strings))


def _with_binary(message: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    return {**message, "parameters": {"binary_data_size": len(data)}}, data
