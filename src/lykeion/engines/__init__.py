"""Execution engines behind one protocol: what runs a model file, how fast, and which suits a device best.

``running`` runs files: it is what a device has. ``choosing`` measures, compares and chooses.
"""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .running import Engine, LiteRTEngine, ModelError, TensorSpec, read_model, try_model

__all__ = ["Engine", "LiteRTEngine", "ModelError", "TensorSpec", "read_model", "try_model"]
__getattr__ = lazy(__name__)
