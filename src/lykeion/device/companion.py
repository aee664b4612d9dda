"""What a device needs beside a network's file: its card, its labels, and golden photos with the answers expected.

One JSON document, whose digest is signed with the target. A golden answer is the index of the label, or the vector.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lykeion.core import parse_json
from lykeion.core.fields import Field, Fields
from lykeion.device.box_layout import BoxLayout, read_boxes
from lykeion.engines import Engine
from lykeion.vision import PREPROCESSING_VERSION, CardError, ModelCard, decode, normalise

from .errors import RecordError

SCHEMA = 1
MAX_COMPANION_BYTES = 4 << 20
MAX_COMPANION_PHOTOS = 16
MAX_LABELS = 100_000
MAX_LABEL = 1_000
COSINE = 0.99
"""Below this a vector is another answer. Other engines and kernels round differently; a wrong network is far off."""


@dataclass(frozen=True, slots=True, eq=False)
class GoldenPhoto:
    """``label`` is -1 where the answer is the ``vector``, float32."""

    photo: bytes
    label: int
    vector: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Companion:
    """``preprocessing`` is the version by which the golden answers were made, and by which a vector is of a space. A
    detector has ``boxes``; its labels are those of its classes, without the background."""

    card: ModelCard
    labels: tuple[str, ...] = ()
    golden: tuple[GoldenPhoto, ...] = ()
    preprocessing: int = PREPROCESSING_VERSION
    boxes: BoxLayout | None = None

    def to_bytes(self) -> bytes:
        """A document for ``read_companion``."""
        golden = [_golden_json(each) for each in self.golden]
        value = {
            "schema": SCHEMA,
            "card": asdict(self.card),
            "labels": list(self.labels),
            "golden": golden,
            "preprocessing": self.preprocessing,
        } | ({"boxes": self.boxes.to_json()} if self.boxes else {})
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_companion(data: bytes) -> Companion:
    """Raises RecordError."""
    given = Fields("companion", parse_json(data, RecordError, "companion", limit=MAX_COMPANION_BYTES), RecordError)
    given.only("schema", "card", "labels", "golden", "preprocessing", "boxes")
    given.required("schema", lambda field: field.number(SCHEMA, SCHEMA))
    labels, golden = given.required("labels", Field.items), given.required("golden", Field.items)
    if len(labels) > MAX_LABELS or len(golden) > MAX_COMPANION_PHOTOS:
        raise RecordError(f"companion: {len(labels)} labels and {len(golden)} photos are too many")
    return Companion(
        given.required("card", _card),
        tuple(label.text()[:MAX_LABEL] for label in labels),
        tuple(_golden(each.fields()) for each in golden),
        given.required("preprocessing", lambda field: field.number(1, 1 << 31)),
        given.optional("boxes", read_boxes, None),
    )


def with_golden(companion: Companion, photos: Sequence[bytes], engine: Engine) -> Companion:
    """The companion with these photos and the network's own answers."""
    is_classifier = bool(companion.labels) and not companion.boxes
    made: list[GoldenPhoto] = []
    for photo in photos:
        vector = answer(companion.card, photo, engine)
        made.append(GoldenPhoto(photo, int(vector.argmax()) if is_classifier else -1, vector))
    return replace(companion, golden=tuple(made))


def answer(card: ModelCard, photo: bytes, engine: Engine) -> np.ndarray:
    """The network's output for a photo: float32 (dimension,). Raises PhotoError, ModelError, RecordError."""
    pixels = decode(photo, at_least=card.at_least).pixels(card)[np.newaxis]
    spec = next((spec for spec in engine.outputs if spec.name == card.output), None)
    if spec is None:
        raise RecordError(f"the card names output {card.output[:60]!r}, which the network lacks")
    outputs = engine.run(engine.inputs[0].encode(normalise(pixels, card)))
    return spec.decode(outputs[spec.name]).reshape(-1)


def wrong_answers(companion: Companion, engine: Engine) -> list[str]:
    """For each golden photo with another answer, what differs."""
    return [
        f"golden photo {place}: {problem}"
        for place, golden in enumerate(companion.golden)
        if (problem := _difference(golden, answer(companion.card, golden.photo, engine)))
    ]


def _difference(golden: GoldenPhoto, found: np.ndarray) -> str:
    if not np.isfinite(found).all():
        return "the output is not finite"
    if golden.label >= 0:
        return "" if int(found.argmax()) == golden.label else f"label {int(found.argmax())}, not {golden.label}"
    if len(found) != len(golden.vector):
        return f"a vector of {len(found)}, not {len(golden.vector)}"
    lengths = float(np.linalg.norm(found) * np.linalg.norm(golden.vector))
    cosine = float(found @ golden.vector) / lengths if lengths else float(not found.any() and not golden.vector.any())
    return "" if cosine >= COSINE else f"cosine {cosine:.4f} to the vector expected"


def _golden_json(golden: GoldenPhoto) -> dict[str, Any]:
    photo = base64.b64encode(golden.photo).decode()
    if golden.label >= 0:
        return {"photo": photo, "label": golden.label}
    return {"photo": photo, "vector": base64.b64encode(golden.vector.astype("<f4").tobytes()).decode()}


def _golden(given: Fields) -> GoldenPhoto:
    given.only("photo", "label", "vector")
    photo = given.required("photo", _bytes)
    label = given.optional("label", lambda field: field.number(0, MAX_LABELS), -1)
    vector = given.optional("vector", _bytes, b"")
    if (label >= 0) == bool(vector) or len(vector) % 4:
        raise RecordError(f"{given.where} has neither a label nor a vector, or both")
    return GoldenPhoto(photo, label, np.frombuffer(vector, "<f4"))


def _bytes(field: Field) -> bytes:
    try:
        return base64.b64decode(field.text(), validate=True)
    except ValueError:
        raise field.wrong("base64") from None


def _card(field: Field) -> ModelCard:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in field.fields().values.items()
    }
    try:
        return ModelCard(**values)
    except (CardError, TypeError) as error:
        raise RecordError(f"{field.where}: {error}") from None
