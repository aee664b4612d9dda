"""A network's input and output as a JSON file beside the model: shoes.tflite, shoes.json."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from lykeion.core import read_json_as

from .errors import CardError

Channels = Literal["RGB", "BGR", "grey"]
Crop = Literal["centre", "letterbox", "stretch"]

MAX_CARD_BYTES = 2**16
MAX_SIDE = 4_096
MAX_DIMENSION = 65_536
MAX_TEXT = 4_096


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Every field is validated when a card is created; an invalid one raises CardError.

    ``height`` and ``width`` are of the network's input, in pixels. ``mean`` and ``std``, one number per channel in
    the order of ``channels``, normalise the values 0 to 255 by (x − mean) / std. ``crop`` says which part of a
    photo is used: ``centre``, the largest part with the input's aspect ratio; ``stretch``, all of it, distorted;
    ``letterbox``, all of it, padded with ``mean``. ``crop_fraction`` narrows the first two
    to the middle: .875 is the usual "resize to 256, crop 224". ``output`` is the name of the output that is the
    embedding, and ``dimension`` its length. ``source`` and ``licence`` are those of the weights.
    """

    name: str
    height: int
    width: int
    channels: Channels
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: Crop
    crop_fraction: float
    output: str
    dimension: int
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        for field in ("name", "output", "source", "licence"):
            _check(isinstance(getattr(self, field), str) and len(getattr(self, field)) <= MAX_TEXT, self, field)
        _check(bool(self.name), self, "name")
        _check(bool(self.output), self, "output")
        for field, most in (("height", MAX_SIDE), ("width", MAX_SIDE), ("dimension", MAX_DIMENSION)):
            value = getattr(self, field)
            _check(type(value) is int and 1 <= value <= most, self, field, f"a whole number from 1 to {most:,}")
        for field, choices in (("channels", get_args(Channels)), ("crop", get_args(Crop))):
            _check(getattr(self, field) in choices, self, field, "one of " + ", ".join(choices))
        count = 1 if self.channels == "grey" else 3
        for field, least in (("mean", -1e6), ("std", 1e-6)):
            value = getattr(self, field)
            good = isinstance(value, tuple) and len(value) == count and all(_between(x, least, 1e6) for x in value)
            _check(good, self, field, f"{count} number{'s' * (count > 1)} from {least:g} to 1e6")
        _check(_between(self.crop_fraction, 0.01, 1), self, "crop_fraction", "a number from 0.01 to 1")
        if self.crop == "letterbox":
            _check(self.crop_fraction == 1, self, "crop_fraction", "1 with letterbox, which shows all of the photo")

    @property
    def at_least(self) -> int:
        """The shorter side, in pixels, below which a photo loses detail that the network would see: for
        ``decode``."""
        return math.ceil(max(self.height, self.width) / self.crop_fraction)

    def to_json(self) -> str:
        """The card as JSON for ``read``."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def read(cls, path: Path) -> "ModelCard":
        """Raises CardError if the file is missing or is not a card."""
        return read_json_as(cls._of, path, CardError, "model card", limit=MAX_CARD_BYTES)

    @classmethod
    def for_model(cls, model: Path) -> "ModelCard":
        """The card beside a model file, else one from its LiteRT metadata. Raises CardError if there is neither."""
        beside = model.with_suffix(".json")
        if beside.exists():
            return cls.read(beside)
        from .metadata import read_metadata

        try:
            return cls._of(read_metadata(model))
        except CardError as error:
            raise CardError(f"{model}: {error}; add a model card beside it: {beside.name}") from None

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> "ModelCard":
        known = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise CardError(f"unknown field {unknown[0][:60]!r} (a newer card?)")
        if missing := [name for name in known - {"source", "licence"} if name not in values]:
            raise CardError(f"field {min(missing)!r} is missing")
        checked: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**checked)


def network_file(model: Path) -> Path:
    """The network of a model: the file itself, or the only ``.tflite`` file of a directory. Raises CardError."""
    if model.is_file():
        return model
    found = sorted(model.glob("*.tflite"))
    if len(found) != 1:
        raise CardError(f"{model} holds {len(found)} .tflite files; name one of them")
    return found[0]


def _between(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _check(good: bool, card: ModelCard, field: str, expected: str = f"text of 1 to {MAX_TEXT:,} characters") -> None:
    if not good:
        raise CardError(f"field {field!r} is {str(getattr(card, field))[:60]!r}; expected {expected}")
