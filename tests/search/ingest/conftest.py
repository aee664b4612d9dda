"""A tiny network, real from the flatbuffer on, and real photos cut from one."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lykeion.nets.architecture import Architecture, Convolution
from lykeion.nets.layers import layers
from lykeion.nets.litert_writer import write_litert
from lykeion.search.embedder import Embedder
from lykeion.vision import ModelCard

PHOTOS = Path(__file__).parents[2] / "photos"


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution of random kernels with its card."""
    architecture = Architecture("tiny", 32, 32, (Convolution(16, 5, 2),), classes=2)
    random = np.random.default_rng(1)
    shapes = {name: shape for layer in layers(architecture) for name, shape in layer.weights().items()}
    weights = {name: random.standard_normal(shape).astype(np.float32) ** 2 for name, shape in shapes.items()}
    path = tmp_path_factory.mktemp("network") / "tiny.tflite"
    path.write_bytes(write_litert(architecture, weights))
    mean = (127.0, 127.0, 127.0)
    card = ModelCard("tiny", 32, 32, "RGB", mean, mean, "centre", 1.0, "embedding", architecture.dimension)
    path.with_suffix(".json").write_text(card.to_json())
    return path


@pytest.fixture(scope="session")
def embedder(network: Path) -> Embedder:
    return Embedder.load(network)


@pytest.fixture(scope="session")
def jpeg() -> Callable[[int], bytes]:
    """The n-th of many different photos."""
    whole = Image.open(PHOTOS / "china.jpg").convert("RGB")

    def cut(n: int) -> bytes:
        left, top = 131 * n % (whole.width - 96), 113 * n % (whole.height - 96)
        tint = Image.new("RGB", (96, 96), f"hsl({37 * n % 360}, 100%, 50%)")
        photo = Image.blend(whole.crop((left, top, left + 96, top + 96)), tint, 0.3)
        file = io.BytesIO()
        photo.save(file, "JPEG", comment=str(n).encode())
        return file.getvalue()

    return cut
