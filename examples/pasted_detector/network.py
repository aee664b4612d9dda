"""The network: rows of a MobileNetV2, a head on maps of 1/8 and 1/16 of the scene, and its anchors.

A head gives for each anchor four offsets and a score of each category, as logits; there is no background class, and
an anchor is of nothing where all its scores are low (focal loss, arXiv:1708.02002).
"""

import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from examples.fashion_mnist import CATEGORIES
from lykeion.device import BoxLayout
from lykeion.engines import LiteRTEngine
from lykeion.nets import Architecture, Convolution, DepthwiseSeparable, InvertedResidual
from lykeion.vision import ModelCard

HEIGHT, WIDTH = 96, 128
SIDES = {8: (20, 28), 16: (38, 50)}
"""Of the anchors at each cell, in pixels, by the stride of the map."""
SCALES = (10.0, 10.0, 5.0, 5.0)
ROWS = (
    Convolution(16, 3, 2),
    DepthwiseSeparable(24, 3, 2),
    InvertedResidual(72, 24, 3),
    InvertedResidual(96, 40, 3, 2),
    InvertedResidual(160, 40, 3),
    InvertedResidual(160, 40, 3),
    InvertedResidual(160, 64, 3, 2),
    InvertedResidual(256, 64, 3),
)
BACKBONE = Architecture("pasted-detector", HEIGHT, WIDTH, ROWS, classes=len(CATEGORIES), channels=1)
_LAST_OF_8, _LAST_OF_16 = 5, 7


def _anchors() -> np.ndarray:
    made = [
        ((row + 0.5) * stride / HEIGHT, (column + 0.5) * stride / WIDTH, side / HEIGHT, side / WIDTH)
        for stride, sides in SIDES.items()
        for row in range(HEIGHT // stride)
        for column in range(WIDTH // stride)
        for side in sides
    ]
    return np.array(made, np.float32)


ANCHORS = _anchors()
"""Float32 (n, 4): y, x, height, width as shares of the scene."""


def build_detector(seed: int) -> Any:
    """A Keras model from scenes, float32 (n, HEIGHT, WIDTH, 1), to ``boxes`` (n, anchors, 4) and ``scores`` (n,
    anchors, categories)."""
    import keras

    from lykeion.nets import build_keras

    backbone = build_keras(BACKBONE, output="embedding", batch_norm_momentum=0.9, seed=seed)
    maps = [backbone.get_layer(_last_layer(backbone, row)).output for row in (_LAST_OF_8, _LAST_OF_16)]
    rare: Any = keras.initializers.Constant(float(-np.log(99)))  # at first each score is 1 %
    found: dict[str, list[Any]] = {"boxes": [], "scores": []}
    for values, sides in zip(maps, SIDES.values(), strict=True):
        heads: list[tuple[str, int, Any]] = [("boxes", 4, "zeros"), ("scores", len(CATEGORIES), rare)]
        for name, width, bias in heads:
            start: Any = keras.initializers.RandomNormal(stddev=0.01, seed=seed)
            head = keras.layers.Conv2D(
                len(sides) * width, 3, padding="same", kernel_initializer=start, bias_initializer=bias
            )
            found[name].append(keras.layers.Reshape((-1, width))(head(values)))
    outputs = {name: keras.layers.Concatenate(axis=1, name=name)(each) for name, each in found.items()}
    return keras.Model(backbone.input, outputs, name="pasted_detector")


def _last_layer(backbone: Any, row: int) -> str:
    return [layer.name for layer in backbone.layers if layer.name.split("_")[0] == str(row)][-1]


def write_detector(model: Any, directory: Path) -> Path:
    """The network as LiteRT, its card, how its outputs are boxes, and its labels, for ``lykeion models push``."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "detector.tflite"
    with tempfile.TemporaryDirectory() as made:
        exported = Path(made, "detector.tflite")
        model.export(exported, format="litert", verbose=False)
        path.write_bytes(exported.read_bytes())
    with closing(LiteRTEngine(path.read_bytes(), name=path.name)) as engine:
        names = {output.shape[-1]: output.name for output in engine.outputs}
    layout = BoxLayout(
        "anchors", {"boxes": names[4], "scores": names[len(CATEGORIES)]}, ANCHORS, SCALES, background=False
    )
    card = ModelCard(
        BACKBONE.name, HEIGHT, WIDTH, "grey", (127.5,), (127.5,), "stretch", 1.0, names[4], ANCHORS.size
    )  # fmt: skip
    path.with_suffix(".json").write_text(card.to_json())
    path.with_name("detector.boxes.json").write_text(json.dumps(layout.to_json()))
    path.with_name("classes.json").write_text(json.dumps(list(CATEGORIES)))
    return path
