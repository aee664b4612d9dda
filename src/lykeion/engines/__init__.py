"""Execution engines behind one protocol."""

from .litert import LiteRTEngine, read_model
from .protocol import Engine, ModelError, TensorSpec
from .trial import try_model

__all__ = ["Engine", "LiteRTEngine", "ModelError", "TensorSpec", "read_model", "try_model"]
