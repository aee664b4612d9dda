"""examples/marketplace_device, small: a film is answered from an index, and a fleet sends a bad detector back."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from PIL import Image

from lykeion.device import BoxLayout
from lykeion.litert import GraphWriter
from lykeion.vision import ModelCard
from tests.device.detectors import ANCHORS, _outputs
from tests.device.networks import EMBEDDING, changed, network

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def detector_of_light(directory: Path) -> Path:
    """Finds those of sixteen parts of a frame that are light. With a tenth of the light it finds nothing."""
    B, graph = tfl.BuiltinOperator, GraphWriter()
    graph.tensor("photo", (16, 16, 1))
    pool = tfl.Pool2DOptionsT(padding=tfl.Padding.VALID, strideW=4, strideH=4, filterWidth=4, filterHeight=4)
    graph.operator(B.AVERAGE_POOL_2D, pool, ["photo"], [], "cells", (4, 4, 1))
    convolution = tfl.Conv2DOptionsT(padding=tfl.Padding.VALID, strideW=1, strideH=1)
    constants = {
        "scores": [np.full((1, 1, 1, 1), 40, np.float32), np.array([-8], np.float32)],
        "boxes": [np.zeros((4, 1, 1, 1), np.float32), np.zeros(4, np.float32)],
    }
    for name, values in constants.items():
        width = len(values[1])
        graph.operator(B.CONV_2D, convolution, ["cells"], values, f"{name} of cells", (4, 4, width))
        shape = np.array([1, 16, width], np.int32)
        options = tfl.ReshapeOptionsT(newShape=shape.tolist())
        graph.operator(B.RESHAPE, options, [f"{name} of cells"], [shape], name, (16, width))
    model = changed(graph.finish("light", "photo", "boxes"), lambda parsed: _outputs(parsed, "boxes", "scores"))
    directory.mkdir()
    (directory / "detector.tflite").write_bytes(model)
    layout = BoxLayout("anchors", {"boxes": "boxes", "scores": "scores"}, ANCHORS, background=False)
    card = ModelCard("light", 16, 16, "grey", (0.0,), (255.0,), "stretch", 1.0, "boxes", 64)
    (directory / "detector.json").write_text(card.to_json())
    (directory / "detector.boxes.json").write_text(json.dumps(layout.to_json()))
    (directory / "classes.json").write_text('["light"]')
    return directory


def test_a_film_is_answered_from_the_index_and_a_bad_detector_is_halted_and_sent_back(tmp_path: Path) -> None:
    embedder = tmp_path / "tiny.tflite"
    embedder.write_bytes(network(1))
    embedder.with_suffix(".json").write_text(EMBEDDING.to_json())
    detector = detector_of_light(tmp_path / "light")
    command = [sys.executable, "-m", "examples.marketplace_device", str(tmp_path / "shop"), "--sample"]
    small = (
        "--photos",
        "60",
        "--devices",
        "4",
        "--cards",
        "1",
        "--embedder",
        str(embedder),
        "--detector",
        str(detector),
    )
    done = subprocess.run([*command, *small], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "4 devices enrolled; each fetched, tried and runs embedder v1 and detector v1" in said
    answered, frames = map(int, re.findall(r"camera: (\d+) of (\d+) frames answered", said)[0])
    assert 1 <= answered <= frames == 12
    assert re.search(
        r"end to end, p50: \d+\.\d ms \(detect \d+\.\d, embed \d+\.\d, ask \d+\.\d, rest \d+\.\d\)", said
    )
    assert "a box in 100% of the frames" in said
    with Image.open(tmp_path / "shop" / "answers.png") as picture:
        assert picture.width > 320
    assert "halted, 0 of 2 devices in the north run v2" in said
    assert re.search(r"detector v2, Halted\nHarm: no_box > 10% @2: 2 of 2 devices", said)
