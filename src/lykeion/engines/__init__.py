"""Execution engines behind one protocol: what runs a model file, how fast, and which suits a device best.

``kinds`` lists the engines; each is imported when it is first used. ``bench`` measures, ``select`` chooses.
"""

from .litert import LiteRTEngine, read_model
from .protocol import Engine, ModelError, TensorSpec
from .trial import try_model

__all__ = ["Engine", "LiteRTEngine", "ModelError", "TensorSpec", "read_model", "try_model"]
