"""LiteRT's newer interface, CompiledModel, on the CPU."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import ai_edge_litert
import numpy as np
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.environment import Environment, EnvironmentOptions
from ai_edge_litert.options import CpuOptions, Options

from lykeion.core import first_line
from lykeion.core.library_output import LITERT_COMPILED, without_last_words, without_lines
from lykeion.engines.running.tensor_specs import check_values, described
from lykeion.litert import ModelError

from .litert import LiteRTEngine


class CompiledModelEngine:
    """The bytes of a ``.tflite`` file with one signature. Raises ModelError.

    CompiledModel does not verify a file and crashes on a damaged one, so LiteRT's interpreter loads it first.
    """

    def __init__(self, model: bytes, *, threads: int = 1, name: str = "model") -> None:
        self._name = name
        checked = LiteRTEngine(model, name=name)
        self.inputs, self.outputs = checked.inputs, checked.outputs
        checked.close()
        without_last_words()
        try:
            with without_lines(*LITERT_COMPILED):
                home = Path(ai_edge_litert.__file__).parent
                none = str(home / "none")  # without a path, it searches for vendors' plugins and loads them
                self._environment: Any = Environment.create(options=EnvironmentOptions(str(home), none, none))
                self._model: Any = CompiledModel.from_buffer(
                    model,
                    environment=self._environment,
                    options=Options(cpu_options=CpuOptions(num_threads=threads)),
                )
                self._shapes: list[tuple[int, ...]] = []
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{name}: CompiledModel cannot load it: {first_line(error)}") from None

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        self.ready(*values)
        found: dict[str, np.ndarray] = {}
        for spec, buffer in zip(self.outputs, self._outputs, strict=True):
            shape = (len(values[0]), *spec.shape[1:])
            found[spec.name] = buffer.read(int(np.prod(shape)), spec.dtype.type).reshape(shape)
        return found

    def ready(self, *values: np.ndarray) -> Callable[[], object]:
        check_values(values, self.inputs, self._name)
        shapes = [each.shape for each in values]
        try:
            # It searches for accelerators, and reports them, when it first allocates.
            with nullcontext() if shapes == self._shapes else without_lines(*LITERT_COMPILED):
                if shapes != self._shapes:
                    self._allocate(shapes)
                for buffer, each in zip(self._inputs, values, strict=True):
                    buffer.write(np.ascontiguousarray(each))
                self._run()
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self._name}: cannot run on {described(values)}: {first_line(error)}") from None
        return self._run

    def close(self) -> None:
        with without_lines(*LITERT_COMPILED):
            self._inputs = self._outputs = []
            self._model = self._environment = None

    def __del__(self) -> None:
        self.close()

    def _run(self) -> None:
        self._model.run_by_index(0, self._inputs, self._outputs)

    def _allocate(self, shapes: Sequence[tuple[int, ...]]) -> None:
        self._shapes = []
        for place, shape in enumerate(shapes):
            self._model.resize_input_tensor(place, list(shape))
        self._inputs = self._model.create_input_buffers(0)
        self._outputs = self._model.create_output_buffers(0)
        self._shapes = list(shapes)
