"""Photos in, tensors out: decoding, preprocessing, and the model card, which describes a network's input and
output."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .box import Box
    from .card import ModelCard, network_file
    from .decoding import Decoded, decode, from_rgb
    from .errors import BoxError, CardError, PhotoError
    from .formats import looks_like_photo, of_the_system, photo_suffixes
    from .photo_limits import DEFAULT, Limits
    from .preprocess import PREPROCESSING_VERSION, normalise, pixels, seen_region
    from .vector_spaces import embedding_space

__all__ = [
    "DEFAULT", "PREPROCESSING_VERSION", "Box", "BoxError", "CardError", "Decoded", "Limits", "ModelCard",
    "PhotoError", "decode", "embedding_space", "from_rgb", "looks_like_photo", "network_file", "normalise",
    "of_the_system", "photo_suffixes", "pixels", "seen_region",
]  # fmt: skip
__getattr__ = lazy(__name__)
