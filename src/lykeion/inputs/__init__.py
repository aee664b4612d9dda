"""Resolving what users name (a file, a run, a version, a registry reference) to models and photos that may be
used."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .labelled_photos import judging_photos, open_with_photos
    from .model_files import open_models
    from .named_models import find_embedder, find_model
    from .servable_models import LabelsError, ServableModel, open_servable

__all__ = [
    "LabelsError", "ServableModel", "find_embedder", "find_model", "judging_photos", "open_models", "open_servable",
    "open_with_photos",
]  # fmt: skip
__getattr__ = lazy(__name__)
