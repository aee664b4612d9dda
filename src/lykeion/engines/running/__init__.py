"""Running model files on engines behind one protocol, and trying them in separate processes.

``engine_kinds`` lists the engines; each is imported when it is first used. A device imports only this package.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .adapters.litert import LiteRTEngine, read_model
    from .engine import Engine
    from .engine_kinds import KINDS, Kind, UnknownEngine, find_kind, find_kinds, usual_kinds
    from .machine import Machine, keep_to, peak_bytes, pinned, processor, this_machine
    from .onnx.convert import to_onnx
    from .operator_times import OperatorTime, by_kind
    from .tensor_specs import ModelError, TensorSpec, encoded, noise, specs
    from .timed_pass import USUAL, Candidate, Pass, Plan, run_pass
    from .trial import FirstRun, Trial, TrialLimits, try_model, try_models

__all__ = [
    "KINDS", "USUAL", "Candidate", "Engine", "FirstRun", "Kind", "LiteRTEngine", "Machine", "ModelError",
    "OperatorTime", "Pass", "Plan", "TensorSpec", "Trial", "TrialLimits", "UnknownEngine", "by_kind", "encoded",
    "find_kind", "find_kinds", "keep_to", "noise", "peak_bytes", "pinned", "processor", "read_model", "run_pass",
    "specs", "this_machine", "to_onnx", "try_model", "try_models", "usual_kinds",
]  # fmt: skip
__getattr__ = lazy(__name__)
