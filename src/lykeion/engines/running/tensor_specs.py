"""Inputs and outputs of a network: shapes, types, and the real numbers that integers represent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lykeion.litert import ModelError

if TYPE_CHECKING:
    from lykeion.litert import Graph, Tensor


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """An input or output. ``shape`` has -1 where any size is accepted, and always for the batch. Inputs after the
    first have a batch if their first size is that of the first input.

    If its values represent real numbers, ``quantization`` is (scale, zero point): real = scale · (value − zero).
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    quantization: tuple[float, float] | None = None

    def encode(self, real: np.ndarray) -> np.ndarray:
        """Real numbers as values of the tensor: if quantized, rounded to the nearest and clipped to the type."""
        if self.quantization is None:
            return real.astype(self.dtype)
        scale, zero = self.quantization
        limits = np.iinfo(self.dtype)
        return np.clip(np.rint(real / scale + zero), limits.min, limits.max).astype(self.dtype)

    def decode(self, values: np.ndarray) -> np.ndarray:
        """The real numbers, float32, that values of the tensor represent."""
        if self.quantization is None:
            return values.astype(np.float32)
        scale, zero = self.quantization
        return (scale * (values.astype(np.float32) - np.float32(zero))).astype(np.float32)


def specs(graph: "Graph") -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The inputs and the outputs."""

    def of(places: Sequence[int], names: Sequence[str]) -> list[TensorSpec]:
        return [_spec(graph.tensors[place], name) for place, name in zip(places, names, strict=True)]

    return open_inputs(of(graph.inputs, graph.input_names)), open_outputs(of(graph.outputs, graph.output_names))


def open_inputs(found: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Inputs in the sizes of a file, with an open batch size."""
    return tuple(_open(spec) if spec.shape[:1] == found[0].shape[:1] else spec for spec in found)


def open_outputs(found: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
    """The same for outputs, all of which have a batch."""
    return tuple(map(_open, found))


def noise(inputs: Sequence[TensorSpec], photos: int = 1, photo: tuple[int, ...] = ()) -> list[np.ndarray]:
    """Real numbers for each input, the same on each call: -1 to 1, as in normalised photos; 0 to 255 for inputs of
    plain bytes; 0 for other integers, which may be indices into a table. ``photo`` is the shape of a photo, if the
    model is for photos of any size.

    Raises ModelError if a size is open and not given.
    """
    found: list[np.ndarray] = []
    for place, spec in enumerate(inputs):
        inner = photo if photo and place == 0 and min(spec.shape[1:], default=1) < 1 else spec.shape[1:]
        shape = tuple(photos if size < 0 else size for size in spec.shape[:1]) + inner
        if min(shape, default=1) < 1:
            raise ModelError(
                f"input {spec.name!r} takes any size ({'×'.join(map(str, spec.shape[1:]))}), so there is none to run "
                "it at; export the model for one size"
            )
        values = np.random.default_rng(place).integers(0, 256, shape).astype(np.float32)
        if spec.quantization is None and spec.dtype.kind != "f":
            found.append(values if spec.dtype == np.uint8 else np.zeros_like(values))
        else:
            found.append(values / 127.5 - 1)
    return found


def encoded(inputs: Sequence[TensorSpec], real: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Real numbers as values of each input."""
    return [spec.encode(values) for spec, values in zip(inputs, real, strict=True)]


def check_values(values: Sequence[np.ndarray], inputs: Sequence[TensorSpec], name: str) -> None:
    """Raises ModelError, which names the model ``name``, if values do not have the inputs' shapes and dtypes."""
    fit = len(values) == len(inputs) and all(map(_fits, values, inputs))
    if not fit:
        wanted = " and ".join(f"{spec.dtype} of shape {spec.shape}" for spec in inputs)
        raise ModelError(f"{name}: cannot run on {described(values)}: it takes {wanted}")


def described(values: Sequence[np.ndarray]) -> str:
    """Text for errors: "float32 of shape (1, 16, 16, 3)"."""
    return " and ".join(f"{each.dtype} of shape {each.shape}" for each in values)


def _open(spec: TensorSpec) -> TensorSpec:
    return replace(spec, shape=(-1, *spec.shape[1:])) if spec.shape else spec


def _fits(values: np.ndarray, spec: TensorSpec) -> bool:
    same = values.ndim == len(spec.shape) and all(
        want in (-1, size) for want, size in zip(spec.shape, values.shape, strict=True)
    )
    return same and values.size > 0 and values.dtype == spec.dtype


def _spec(tensor: "Tensor", name: str) -> TensorSpec:
    grid = tensor.quantization
    quantization = (float(grid.scales[0]), float(grid.zero_points[0])) if grid else None
    return TensorSpec(name, tensor.shape, np.dtype(tensor.dtype.name), quantization)
