"""Execution engines behind one protocol: running model files, measuring them, and choosing the best for a device.

``running`` runs files: it is the part that a device needs. ``choosing`` measures, compares and chooses.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .running import Engine, LiteRTEngine, ModelError, TensorSpec, read_model, try_model

__all__ = ["Engine", "LiteRTEngine", "ModelError", "TensorSpec", "read_model", "try_model"]
__getattr__ = lazy(__name__)
