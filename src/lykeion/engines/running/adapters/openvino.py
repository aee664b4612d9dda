"""OpenVINO on the CPU, which reads LiteRT files directly. Computes in float32 where the model does, if not told
otherwise."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from lykeion.core import first_line
from lykeion.engines.running.operator_times import OperatorTime, gathered
from lykeion.engines.running.tensor_specs import check_values, described, specs
from lykeion.litert import ModelError, read_graph, with_metadata


class OpenVinoEngine:
    """The bytes of a ``.tflite`` file. Compiled for the batch size of a run, and again for another size.

    Without a ``precision``, OpenVINO takes the one that it expects to be fastest here. Raises ModelError.
    """

    def __init__(
        self, model: bytes, *, threads: int = 1, name: str = "model", precision: str = "f32", profile: bool = False
    ) -> None:
        self._name = name
        self._settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several engines of one thread each would be pinned to one core
            "PERF_COUNT": profile,
        }
        if precision:
            self._settings["INFERENCE_PRECISION_HINT"] = precision
        self.inputs, self.outputs = specs(read_graph(model, name))
        self._core = openvino.Core()
        try:
            with tempfile.TemporaryDirectory() as directory:  # its reader of LiteRT files takes paths only
                path = Path(directory, "model.tflite")
                path.write_bytes(with_metadata(model))
                self._model: Any = self._core.read_model(path)
        except RuntimeError as error:
            raise ModelError(f"{name}: OpenVINO cannot load it: {_reason(error)}") from None
        # Its names are those of tensors, not of the signature; the order is the same.
        self._shapes: list[tuple[int, ...]] = []
        self.request: Any = None

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        self._infer(values)
        return {
            spec.name: np.array(self.request.get_output_tensor(place).data) for place, spec in enumerate(self.outputs)
        }

    def ready(self, *values: np.ndarray) -> Callable[[], object]:
        self._infer(values)
        request = self.request
        return lambda: request.infer(share_outputs=True)

    def close(self) -> None:
        self.request = self._model = None

    def _infer(self, values: Sequence[np.ndarray]) -> None:
        check_values(values, self.inputs, self._name)
        if (shapes := [each.shape for each in values]) != self._shapes:
            self._compile(shapes)
        try:
            for place, each in enumerate(values):
                self.request.get_input_tensor(place).data[:] = each
            self.request.infer(share_outputs=True)
        except RuntimeError as error:
            raise ModelError(f"{self._name}: cannot run on {described(values)}: {_reason(error)}") from None

    def _compile(self, shapes: Sequence[tuple[int, ...]]) -> None:
        try:
            self._model.reshape({place: list(shape) for place, shape in enumerate(shapes)})
            self.request = self._core.compile_model(self._model, "CPU", self._settings).create_infer_request()
        except RuntimeError as error:
            raise ModelError(f"{self._name}: OpenVINO cannot compile it: {_reason(error)}") from None
        self._shapes = list(shapes)


def operator_times(
    model: bytes, values: Sequence[np.ndarray], runs: int, *, threads: int = 1, name: str = "model"
) -> tuple[OperatorTime, ...]:
    """Mean time of each node of the compiled graph. Raises ModelError."""
    engine = OpenVinoEngine(model, threads=threads, name=name, profile=True)
    run, events = engine.ready(*values), []
    for _ in range(runs):
        run()
        events += [
            (node.node_name, node.node_type, node.real_time.total_seconds() * 1e3)
            for node in engine.request.profiling_info
            if str(node.status).endswith("EXECUTED")
        ]
    return gathered(event for event in events if event[2])


def _reason(error: RuntimeError) -> str:
    """The informative line of OpenVINO's message: before it are positions in its source code."""
    lines = [
        line for line in str(error).splitlines() if not line.startswith(("Exception from", "Check '", "FrontEnd"))
    ]
    return first_line(RuntimeError("\n".join(lines) or str(error)))
