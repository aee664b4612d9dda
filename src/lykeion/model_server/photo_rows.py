"""Photos as rows of a model's input, as its card says."""

import numpy as np

from lykeion.vision import ModelCard, decode, normalise

from .errors import CannotServe
from .model_signature import TensorSignature


class PhotoRows:
    """Raises CannotServe if the card is not of this input."""

    def __init__(self, card: ModelCard, taken: TensorSignature) -> None:
        if taken.row != photo_shape(card):
            size = "×".join(map(str, photo_shape(card)))
            raise CannotServe(f"the card is for photos of {size}; input {taken.name!r} has shape {[-1, *taken.row]}")
        self._card, self._taken = card, taken

    def prepare(self, photo: bytes, name: str) -> np.ndarray:
        """A photo as one row, (1, height, width, channels); ``name`` is the photo's in errors. Raises PhotoError."""
        pixels = decode(photo, name=name, at_least=self._card.at_least).pixels(self._card)
        return self._taken.spec.encode(normalise(pixels[np.newaxis], self._card))


def photo_shape(card: ModelCard) -> tuple[int, int, int]:
    return card.height, card.width, 1 if card.channels == "grey" else 3
