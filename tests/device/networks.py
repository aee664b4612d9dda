"""Small real networks, and files that are no good in each of the ways in which a file can be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tfl

from lykeion.device.companion import Companion, with_golden
from lykeion.engines import LiteRTEngine
from lykeion.nets import Architecture, Convolution, InvertedResidual, layers, write_litert
from lykeion.vision import ModelCard
from tests.litert.files import one_operator, packed

PHOTOS = Path(__file__).parents[1] / "photos"
GOLDEN = [(PHOTOS / name).read_bytes() for name in ("china.jpg", "flower.jpg")]
TINY = Architecture("tiny", 16, 16, (Convolution(8, 3, 2), InvertedResidual(16, 8, 3)), classes=4)
LABELS = ("boot", "sandal", "shoe", "slipper")
EMBEDDING = ModelCard("tiny", 16, 16, "RGB", (127.5,) * 3, (127.5,) * 3, "centre", 1.0, "embedding", 8)
LOGITS = ModelCard("tiny", 16, 16, "RGB", (127.5,) * 3, (127.5,) * 3, "centre", 1.0, "logits", 4)


def network(seed: int, output: Any = "embedding") -> bytes:
    rng = np.random.default_rng(seed)
    shapes = {name: shape for layer in layers(TINY) for name, shape in layer.weights().items()}
    # Variances are positive, and kernels of both signs: answers differ from photo to photo and from seed to seed.
    weights = {
        name: np.abs(values) + 0.1 if "var" in name else values
        for name, values in ((name, rng.normal(size=shape).astype(np.float32)) for name, shape in shapes.items())
    }
    return write_litert(TINY, weights, output=output)


def companion(model: bytes, card: ModelCard = EMBEDDING, labels: tuple[str, ...] = ()) -> bytes:
    """With golden photos that the model answers rightly."""
    return with_golden(Companion(card, labels), GOLDEN, LiteRTEngine(model)).to_bytes()


def changed(model: bytes, how: Callable[[Any], None]) -> bytes:
    parsed = tfl.ModelT.InitFromPackedBuf(model)
    how(parsed)
    return packed(parsed)


def crashing() -> bytes:
    """LiteRT 2.3 does not look for the bias of a depthwise convolution."""

    def drop_bias(parsed: Any) -> None:
        for operator in parsed.subgraphs[0].operators:
            if type(operator.builtinOptions).__name__ == "DepthwiseConv2DOptionsT":
                operator.inputs = list(operator.inputs)[:2]

    return changed(network(0), drop_bias)


def hanging() -> bytes:
    """A loop whose condition is always true."""
    relu = tfl.ModelT.InitFromPackedBuf(one_operator(tfl.BuiltinOperator.RELU, None, (1, 16, 16, 3), (1, 16, 16, 3)))
    body = relu.subgraphs[0]
    always = tfl.TensorT(shape=[], type=tfl.TensorType.BOOL, name="always", buffer=1, hasRank=True)
    condition = tfl.SubGraphT(
        name="condition", tensors=[body.tensors[0], always], operators=[], inputs=[0], outputs=[1]
    )
    loop = tfl.OperatorT(
        opcodeIndex=1,
        inputs=[0],
        outputs=[1],
        builtinOptionsType=tfl.BuiltinOptions.WhileOptions,
        builtinOptions=tfl.WhileOptionsT(condSubgraphIndex=1, bodySubgraphIndex=2),
    )
    main = tfl.SubGraphT(name="main", tensors=body.tensors, operators=[loop], inputs=[0], outputs=[1])
    relu.buffers.append(tfl.BufferT(data=np.array([1], np.uint8)))
    relu.operatorCodes.append(
        tfl.OperatorCodeT(builtinCode=tfl.BuiltinOperator.WHILE, deprecatedBuiltinCode=119, version=1)
    )
    relu.subgraphs = [main, condition, body]
    return packed(relu)


def eating() -> bytes:
    """Each of its tensors is below what LiteRT may be asked for, and together they are 1.5 GB."""
    times = np.array([1, 256, 512, 1], np.int32)
    return one_operator(tfl.BuiltinOperator.TILE, tfl.TileOptionsT(), (1, 16, 16, 3), (1, 4096, 8192, 3), [times])
