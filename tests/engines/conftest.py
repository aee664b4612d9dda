from collections.abc import Callable

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from lykeion.litert.writing import AlignedBuilder
from lykeion.nets import Architecture, Convolution, InvertedResidual, layers, write_litert

TINY = Architecture("tiny", 16, 16, (Convolution(8, 3, 2), InvertedResidual(16, 8, 3)), classes=4)


@pytest.fixture(scope="session")
def model() -> bytes:
    """A small network from photos (n, 16, 16, 3) to an embedding of 8."""
    rng = np.random.default_rng(0)
    shapes = {name: shape for layer in layers(TINY) for name, shape in layer.weights().items()}
    weights = {name: np.abs(rng.normal(size=shape)).astype(np.float32) + 0.1 for name, shape in shapes.items()}
    return write_litert(TINY, weights)


@pytest.fixture
def changed(model: bytes) -> Callable[[Callable[[tfl.ModelT], None]], bytes]:
    """The model, sound as a flatbuffer, after a change to what it says."""

    def change(how: Callable[[tfl.ModelT], None]) -> bytes:
        parsed = tfl.ModelT.InitFromPackedBuf(model)
        how(parsed)
        builder = AlignedBuilder(1 << 16)
        builder.Finish(parsed.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return change
