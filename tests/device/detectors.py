"""Small real detectors of red and blue squares, in both forms: sixteen anchors, one of each cell of 4 × 4 pixels."""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl
from flatbuffers import flexbuffers

from lykeion.device.box_layout import BoxLayout
from lykeion.litert import GraphWriter
from lykeion.vision import ModelCard

from .networks import changed

CARD = ModelCard("squares", 16, 16, "RGB", (0.0,) * 3, (255.0,) * 3, "stretch", 1.0, "boxes", 64)
LABELS = ("red", "blue")
CENTRES = (np.arange(4, dtype=np.float32) + 0.5) / 4
ANCHORS = np.array([(y, x, 0.25, 0.25) for y in CENTRES for x in CENTRES], np.float32)
RAW = BoxLayout("anchors", {"boxes": "boxes", "scores": "scores"}, ANCHORS)
POST = BoxLayout(
    "postprocess",
    {"boxes": "found", "classes": "classes", "scores": "confidences", "count": "count"},
    np.zeros((0, 4), np.float32),
)


def raw_detector() -> bytes:
    """Outputs ``boxes``, offsets of a tenth of a cell down, and ``scores`` of background, red and blue, as logits."""
    B, graph = tfl.BuiltinOperator, GraphWriter()
    graph.tensor("photo", (16, 16, 3))
    pool = tfl.Pool2DOptionsT(padding=tfl.Padding.VALID, strideW=4, strideH=4, filterWidth=4, filterHeight=4)
    graph.operator(B.AVERAGE_POOL_2D, pool, ["photo"], [], "cells", (4, 4, 3))
    convolution = tfl.Conv2DOptionsT(padding=tfl.Padding.VALID, strideW=1, strideH=1)
    kernel = np.array([[0, 0, 0], [20, -20, -20], [-20, -20, 20]], np.float32).reshape(3, 1, 1, 3)
    bias = np.array([0, -10, -10], np.float32)
    graph.operator(B.CONV_2D, convolution, ["cells"], [kernel, bias], "logits", (4, 4, 3))
    offsets = [np.zeros((4, 1, 1, 3), np.float32), np.array([1, 0, 0, 0], np.float32)]
    graph.operator(B.CONV_2D, convolution, ["cells"], offsets, "offsets", (4, 4, 4))
    for source, name, width in (("offsets", "boxes", 4), ("logits", "scores", 3)):
        shape = np.array([1, 16, width], np.int32)
        graph.operator(B.RESHAPE, tfl.ReshapeOptionsT(newShape=shape.tolist()), [source], [shape], name, (16, width))
    return changed(graph.finish("squares", "photo", "boxes"), lambda model: _outputs(model, "boxes", "scores"))


def detector_with_the_operator() -> bytes:
    """The same, and TFLite_Detection_PostProcess after a sigmoid."""

    def add(model: Any) -> None:
        graph = model.subgraphs[0]
        sigmoid = _tensor(model, "probabilities", (1, 16, 3))
        model.operatorCodes.append(tfl.OperatorCodeT(builtinCode=14, deprecatedBuiltinCode=14, version=1))
        graph.operators.append(
            tfl.OperatorT(
                opcodeIndex=len(model.operatorCodes) - 1, inputs=[_named(graph, "scores")], outputs=[sigmoid]
            )
        )
        model.buffers.append(tfl.BufferT(data=ANCHORS.reshape(-1).view(np.uint8)))
        anchors = _tensor(model, "anchors", (16, 4), len(model.buffers) - 1)
        made = [
            _tensor(model, name, shape)
            for name, shape in (
                ("found", (1, 10, 4)),
                ("classes", (1, 10)),
                ("confidences", (1, 10)),
                ("count", (1,)),
            )
        ]
        options = {
            "max_detections": 10, "max_classes_per_detection": 1, "nms_score_threshold": 0.3,
            "nms_iou_threshold": 0.5, "num_classes": 2, "y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0,
            "w_scale": 5.0, "use_regular_nms": True,
        }  # fmt: skip
        model.operatorCodes.append(
            tfl.OperatorCodeT(
                builtinCode=32, deprecatedBuiltinCode=32, customCode="TFLite_Detection_PostProcess", version=1
            )
        )
        graph.operators.append(
            tfl.OperatorT(
                opcodeIndex=len(model.operatorCodes) - 1,
                inputs=[_named(graph, "boxes"), sigmoid, anchors],
                outputs=made,
                customOptions=np.frombuffer(flexbuffers.Dumps(options), np.uint8),
            )
        )
        _outputs(model, "found", "classes", "confidences", "count")

    return changed(raw_detector(), add)


def photo(squares: dict[tuple[int, int], tuple[int, int, int]], width: int = 80, height: int = 40) -> np.ndarray:
    """RGB; squares by row and column of the 4 × 4 cells."""
    rgb = np.full((height, width, 3), 0, np.uint8)
    for (row, column), colour in squares.items():
        down, across = height // 4, width // 4
        rgb[row * down : (row + 1) * down, column * across : (column + 1) * across] = colour
    return rgb


def _named(graph: Any, name: str) -> int:
    return next(place for place, tensor in enumerate(graph.tensors) if _text(tensor.name) == name)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _tensor(model: Any, name: str, shape: tuple[int, ...], buffer: int = 0) -> int:
    tensor = tfl.TensorT(shape=list(shape), type=tfl.TensorType.FLOAT32, name=name, buffer=buffer, hasRank=True)
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def _outputs(model: Any, *names: str) -> None:
    graph = model.subgraphs[0]
    graph.outputs = [_named(graph, name) for name in names]
    places = zip(names, graph.outputs, strict=True)
    model.signatureDefs[0].outputs = [tfl.TensorMapT(name=name, tensorIndex=int(place)) for name, place in places]
