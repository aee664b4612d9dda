"""Execution engines behind one protocol."""

from .litert import LiteRTEngine, read_model
from .protocol import Engine, ModelError, TensorSpec

__all__ = ["Engine", "LiteRTEngine", "ModelError", "TensorSpec", "read_model"]
