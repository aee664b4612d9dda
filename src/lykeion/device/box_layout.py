"""How a detector's outputs say boxes: the two forms in which networks for LiteRT come.

``postprocess`` is the operator TFLite_Detection_PostProcess, whose outputs are boxes (1, n, 4), classes (1, n),
scores (1, n) and their count (1). ``anchors`` is what it takes: offsets (1, n, 4) from anchors, and a score (1, n,
classes) of each class. Boxes are top, left, bottom, right, offsets and anchors y, x, height, width, all as shares of
the network's input (SSD, arXiv:1512.02325, and TensorFlow's Object Detection API).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lykeion.core.fields import Field, Fields
from lykeion.device.errors import RecordError

LAYOUTS = ("postprocess", "anchors")
MAX_ANCHORS = 100_000
_OUTPUTS = {"postprocess": ("boxes", "classes", "scores", "count"), "anchors": ("boxes", "scores")}


@dataclass(frozen=True, slots=True, eq=False)
class BoxLayout:
    """``outputs`` are the network's names for those that ``layout`` has. For anchors: ``anchors``, float32 (n, 4), by
    which ``scales`` the offsets are divided, whether the first class is the ``background``, and whether scores are
    ``logits``."""

    layout: str
    outputs: Mapping[str, str]
    anchors: np.ndarray
    scales: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    background: bool = True
    logits: bool = True

    def to_json(self) -> dict[str, Any]:
        """A JSON value for ``read_boxes``."""
        plain: dict[str, Any] = {"layout": self.layout, "outputs": dict(self.outputs)}
        if self.layout == "anchors":
            plain["anchors"] = base64.b64encode(self.anchors.astype("<f4").tobytes()).decode()
            plain |= {"scales": list(self.scales), "background": self.background, "logits": self.logits}
        return plain


def read_boxes(field: Field) -> BoxLayout:
    """Raises RecordError."""
    fields = field.fields()
    layout = fields.required("layout", lambda each: each.one_of(LAYOUTS))
    own = ("anchors", "scales", "background", "logits") if layout == "anchors" else ()
    fields.only("layout", "outputs", *own)
    outputs = fields.required("outputs", Field.fields)
    outputs.only(*_OUTPUTS[layout])
    return BoxLayout(
        layout,
        {name: outputs.required(name, Field.text) for name in _OUTPUTS[layout]},
        fields.required("anchors", _anchors) if own else np.zeros((0, 4), np.float32),
        fields.optional("scales", _scales, (10.0, 10.0, 5.0, 5.0)),
        fields.optional("background", Field.truth, True),
        fields.optional("logits", Field.truth, True),
    )


def boxes_of(plain: Mapping[str, Any], where: str) -> BoxLayout:
    """Of a document. Raises RecordError."""
    return read_boxes(Field(where, dict(Fields(where, plain, RecordError).values), RecordError))


def _anchors(field: Field) -> np.ndarray:
    try:
        found = np.frombuffer(base64.b64decode(field.text(), validate=True), "<f4").reshape(-1, 4)
    except ValueError:
        raise field.wrong("base64 of float32 (n, 4)") from None
    if not 0 < len(found) <= MAX_ANCHORS or not np.isfinite(found).all():
        raise RecordError(f"{field.where} has {len(found):,} anchors, or some that are not finite")
    return found


def _scales(field: Field) -> tuple[float, ...]:
    values = [item.value for item in field.items()]
    if len(values) != 4 or not all(isinstance(each, int | float) and 0 < each < 1e6 for each in values):
        raise field.wrong("four numbers above 0")
    return tuple(float(each) for each in values)
