"""ONNX Runtime on the CPU, for LiteRT files: they are converted when they are loaded."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from lykeion.core import first_line
from lykeion.engines.running.onnx.convert import graph_to_onnx
from lykeion.engines.running.operator_times import OperatorTime, gathered
from lykeion.engines.running.tensor_specs import check_values, described, specs
from lykeion.litert import ModelError, read_graph


class OnnxRuntimeEngine:
    """The bytes of a ``.tflite`` file. Raises ModelError, Unsupported."""

    def __init__(self, model: bytes, *, threads: int = 1, name: str = "model", profile: str = "") -> None:
        self._name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        # Without VNNI, x86 adds 8-bit products in 16 bits, and large sums saturate: the outputs would be wrong.
        options.add_session_config_entry("session.x64quantprecision", "1")
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, profile
        graph = read_graph(model, name)
        self.inputs, self.outputs = specs(graph)
        converted = graph_to_onnx(graph)
        try:
            self._session: Any = onnxruntime.InferenceSession(converted, options, ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no other base
            raise ModelError(f"{name}: ONNX Runtime cannot load it: {first_line(error)}") from None

    def run(self, *values: np.ndarray) -> dict[str, np.ndarray]:
        check_values(values, self.inputs, self._name)
        given = {spec.name: each for spec, each in zip(self.inputs, values, strict=True)}
        try:
            found = self._session.run([spec.name for spec in self.outputs], given)
        except Exception as error:  # as above
            raise ModelError(f"{self._name}: cannot run on {described(values)}: {first_line(error)}") from None
        return {spec.name: each for spec, each in zip(self.outputs, found, strict=True)}

    def ready(self, *values: np.ndarray) -> Callable[[], object]:
        found = self.run(*values)
        binding = self._session.io_binding()
        for spec, each in zip(self.inputs, values, strict=True):
            binding.bind_cpu_input(spec.name, np.ascontiguousarray(each))
        for spec in self.outputs:
            bound = onnxruntime.OrtValue.ortvalue_from_numpy(found[spec.name])
            binding.bind_ortvalue_output(spec.name, bound)
        return lambda: self._session.run_with_iobinding(binding)

    def close(self) -> None:
        self._session = None


def operator_times(
    model: bytes, values: Sequence[np.ndarray], runs: int, *, threads: int = 1, name: str = "model"
) -> tuple[OperatorTime, ...]:
    """Mean time of each node of the optimised graph, in execution order. Raises ModelError, Unsupported."""
    with tempfile.TemporaryDirectory() as directory:
        engine = OnnxRuntimeEngine(model, threads=threads, name=name, profile=str(Path(directory, "profile")))
        run = engine.ready(*values)
        for _ in range(runs):
            run()
        events = json.loads(Path(engine._session.end_profiling()).read_bytes())
        engine.close()
    nodes = [event for event in events if event.get("cat") == "Node" and event["name"].endswith("_kernel_time")]
    return gathered(
        (event["name"].removesuffix("_kernel_time"), event["args"].get("op_name", ""), event["dur"] / 1e3)
        for event in nodes
    )
