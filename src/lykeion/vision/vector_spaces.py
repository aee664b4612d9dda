"""The embedding space of a network: only vectors of one space can be compared."""

from dataclasses import asdict

from lykeion.core import digest_bytes, digest_json

from .card import ModelCard
from .preprocess import PREPROCESSING_VERSION


def embedding_space(model: bytes, card: ModelCard) -> str:
    """A digest of all that determines a vector: the model's bytes, the preprocessing, and the card, except for its
    name, source and licence."""
    deciding = {field: value for field, value in asdict(card).items() if field not in ("name", "source", "licence")}
    # A card may have 127 or 127.0, which differ in JSON.
    deciding |= {"mean": [float(x) for x in card.mean], "std": [float(x) for x in card.std]}
    deciding["crop_fraction"] = float(card.crop_fraction)
    return digest_json({"model": digest_bytes(model), "card": deciding, "preprocessing": PREPROCESSING_VERSION})
