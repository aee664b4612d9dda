"""A model over HTTP: the Open Inference Protocol v2 on any engine, tensors or photos in, tensors or classes out."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .errors import CannotServe
    from .served_model import MAX_BATCH, ServedModel, open_served
    from .server_app import model_app, serve_model

__all__ = ["MAX_BATCH", "CannotServe", "ServedModel", "model_app", "open_served", "serve_model"]
__getattr__ = lazy(__name__)
