"""LiteRT (formerly TensorFlow Lite) on the CPU, with the XNNPACK kernels that it uses by default, or without."""

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from lykeion.core.library_output import LITERT_GREETING, without_lines
from lykeion.engines.running.tensor_specs import TensorSpec, described, open_inputs, open_outputs
from lykeion.litert import ModelError

MAX_MODEL_BYTES = 2 << 30
MAX_TENSOR_BYTES = 1 << 30
"""A larger tensor is treated as an attempt to exhaust memory."""


def read_model(path: Path) -> bytes:
    """The file's bytes, for several engines to share. Raises ModelError."""
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"{path}: larger than {MAX_MODEL_BYTES >> 30} GiB, which LiteRT cannot load")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot read the model: {error.strerror or error}") from None


class LiteRTEngine:
    """A ``.tflite`` file, or its bytes. LiteRT verifies the flatbuffer; sizes are checked before memory is allocated.

    ``name`` is the model's name in errors, by default its path. Tensors have the names of the model's signature if it
    has exactly one, else their own. Every load packs the weights again: keep an engine rather than load it often.
    Without ``xnnpack``, LiteRT's own kernels are used. Raises ModelError.
    """

    def __init__(self, source: str | Path | bytes, *, threads: int = 1, name: str = "", xnnpack: bool = True) -> None:
        self._name = name or ("model" if isinstance(source, bytes) else str(source))
        content = source if isinstance(source, bytes) else read_model(Path(source))
        if content[4:8] != b"TFL3":
            raise ModelError(f"{self._name}: not a LiteRT model: it lacks the mark TFL3; give a .tflite file")
        try:
            with _without_greeting() if xnnpack else nullcontext():
                self._interpreter: Any = Interpreter(
                    model_content=content, num_threads=threads, experimental_op_resolver_type=_KERNELS[xnnpack]
                )
                self._check_sizes()
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, MemoryError) as error:
            raise self._error(error, "not a LiteRT model that can run here") from None
        names_in, names_out = self._signature_names()
        details_in, details_out = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        if not details_in or not details_out:
            raise ModelError(f"{self._name}: the model has no input or no output")
        self.inputs = open_inputs([_spec(detail, names_in) for detail in details_in])
        self.outputs = open_outputs([_spec(detail, names_out) for detail in details_out])
        self._input_indices: list[int] = [detail["index"] for detail in details_in]
        self._output_indices: list[int] = [detail["index"] for detail in details_out]
        self._shapes = [tuple(int(size) for size in detail["shape"]) for detail in details_in]

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        try:
            shapes = [each.shape for each in values]
            if shapes != self._shapes:
                self._resize(shapes)
            for index, each in zip(self._input_indices, values, strict=True):
                self._interpreter.set_tensor(index, each)
            self._interpreter.invoke()
            found = [self._interpreter.get_tensor(index) for index in self._output_indices]
        except (ValueError, RuntimeError, MemoryError) as error:
            raise self._error(error, f"cannot run on {described(values)}") from None
        return {spec.name: each for spec, each in zip(self.outputs, found, strict=True)}

    def ready(self, *values: np.ndarray) -> Callable[[], None]:
        """Like ``Engine.ready``."""
        self.run(*values)
        return self._interpreter.invoke

    def close(self) -> None:
        self._interpreter = None

    def _resize(self, shapes: Sequence[tuple[int, ...]]) -> None:
        wanted = [spec.shape for spec in self.inputs]
        fits = len(shapes) == len(wanted) and all(
            len(shape) == len(want) and all(most in (-1, size) for most, size in zip(want, shape, strict=True))
            for want, shape in zip(wanted, shapes, strict=True)
        )
        if not fits or any(0 in shape for shape in shapes):
            raise ValueError(f"it takes shape {' and '.join(map(str, wanted))}")
        self._shapes = []  # empty until the new sizes are allocated
        for index, shape in zip(self._input_indices, shapes, strict=True):
            self._interpreter.resize_tensor_input(index, shape)
        self._interpreter.allocate_tensors()
        self._check_sizes()
        self._shapes = list(shapes)

    def _check_sizes(self) -> None:
        for detail in self._interpreter.get_tensor_details():
            size_bytes = prod(max(int(size), 1) for size in detail["shape"]) * np.dtype(detail["dtype"]).itemsize
            if size_bytes > MAX_TENSOR_BYTES:
                raise ValueError(f"tensor {detail['name']!r} would take {size_bytes / 2**30:.1f} GiB")

    def _signature_names(self) -> tuple[dict[int, str], dict[int, str]]:
        """Names of inputs and of outputs by tensor index."""
        signatures: list[str] = list(self._interpreter.get_signature_list())
        if len(signatures) != 1:
            return {}, {}
        runner = self._interpreter.get_signature_runner(signatures[0])
        names_in = {detail["index"]: name for name, detail in runner.get_input_details().items()}
        names_out = {detail["index"]: name for name, detail in runner.get_output_details().items()}
        return names_in, names_out

    def _error(self, error: Exception, what: str) -> ModelError:
        lines = str(error).splitlines()
        return ModelError(f"{self._name}: {what}: {lines[0] if lines else type(error).__name__}")


_KERNELS = {True: OpResolverType.AUTO, False: OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
_made = itertools.count()


def _without_greeting() -> AbstractContextManager[None]:
    """Suppresses the line that LiteRT writes to standard error when it first creates an engine."""
    return without_lines(LITERT_GREETING) if next(_made) == 0 else nullcontext()


def _spec(detail: dict[str, Any], names: dict[int, str]) -> TensorSpec:
    shape = tuple(int(size) for size in detail["shape_signature"])
    if len(shape) != len(detail["shape"]):  # files without dynamic sizes may have no signature
        shape = tuple(int(size) for size in detail["shape"])
    name: str = names.get(detail["index"]) or detail["name"]
    scale, zero = detail["quantization"]
    return TensorSpec(name, shape, np.dtype(detail["dtype"]), (scale, zero) if scale else None)
