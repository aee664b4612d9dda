"""What a model takes and returns, and whether a request's tensors fit it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from lykeion.engines import TensorSpec

from .datatypes import datatype_of
from .errors import BadInferRequest, CannotServe

MAX_ROWS = 256
MAX_OUTPUT_BYTES = 32 << 20
"""Of the outputs of a request: a request may be much smaller than they are."""


@dataclass(frozen=True, slots=True)
class TensorSignature:
    """``row`` is the shape of one row: a tensor has shape (rows, \\*row)."""

    name: str
    datatype: str
    row: tuple[int, ...]
    spec: TensorSpec

    @property
    def metadata(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": [-1, *self.row]}

    def check(self, datatype: str, shape: Sequence[int]) -> None:
        """Raises BadInferRequest if a tensor of the request does not fit."""
        if datatype != self.datatype:
            raise BadInferRequest(f"datatype {datatype[:32]!r}; the model takes {self.datatype}")
        if tuple(shape[1:]) != self.row or not shape:
            raise BadInferRequest(f"shape {list(shape)}; the model takes {[-1, *self.row]}")


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """``labelled`` is the output that the labels are of, if there are labels."""

    inputs: tuple[TensorSignature, ...]
    outputs: tuple[TensorSignature, ...]
    labelled: str = ""

    @property
    def max_rows(self) -> int:
        """Of a request."""
        row_bytes = sum(prod(each.row) * each.spec.dtype.itemsize for each in self.outputs)
        return max(1, min(MAX_ROWS, MAX_OUTPUT_BYTES // max(row_bytes, 1)))

    def check_rows(self, rows: int) -> None:
        """Raises BadInferRequest."""
        if not 1 <= rows <= self.max_rows:
            raise BadInferRequest(f"{rows:,} rows; a request has 1 to {self.max_rows}")

    def input(self, name: str) -> TensorSignature:
        """Raises BadInferRequest."""
        return _named(self.inputs, name, "input")

    def output(self, name: str) -> TensorSignature:
        """Raises BadInferRequest."""
        return _named(self.outputs, name, "output")


def signature_of(
    inputs: Sequence[TensorSpec],
    values: Sequence[np.ndarray],
    outputs: Sequence[TensorSpec],
    found: dict[str, np.ndarray],
    labels: Sequence[str],
) -> ModelSignature:
    """From the tensors of a run on one row, as some sizes are known only then. Raises CannotServe."""
    given = tuple(map(_signature, inputs, values))
    made = tuple(_signature(spec, found[spec.name]) for spec in outputs)
    if not labels:
        return ModelSignature(given, made)
    labelled = next((each.name for each in made if each.row == (len(labels),)), None)
    if labelled is None:
        sizes = ", ".join(f"{each.name!r} has shape {[-1, *each.row]}" for each in made)
        raise CannotServe(f"there are {len(labels):,} labels, and no output of that size: {sizes}")
    return ModelSignature(given, made, labelled)


def _signature(spec: TensorSpec, values: np.ndarray) -> TensorSignature:
    if values.shape[:1] != (1,):
        raise CannotServe(f"tensor {spec.name!r} has shape {list(values.shape)} for one row; it must begin with 1")
    row = tuple(map(int, values.shape[1:]))
    return TensorSignature(spec.name, datatype_of(spec.dtype, spec.name), row, replace(spec, shape=(-1, *row)))


def _named(tensors: Sequence[TensorSignature], name: str, kind: str) -> TensorSignature:
    for each in tensors:
        if each.name == name:
            return each
    known = ", ".join(repr(each.name) for each in tensors)
    raise BadInferRequest(f"the model has no {kind} {name[:64]!r}; it has {known}")
