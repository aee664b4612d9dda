"""A network of one convolution, real from the flatbuffer on, and as many different photos as wanted."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from lykeion.nets import Architecture, Convolution, layers, write_litert
from lykeion.vision import ModelCard

CHINA = Path(__file__).parents[2] / "photos" / "china.jpg"


def write_network(path: Path, *, seed: int = 1) -> Path:
    """Write the model with random kernels, and its card beside it."""
    architecture = Architecture("tiny", 32, 32, (Convolution(16, 5, 2),), classes=2)
    random = np.random.default_rng(seed)
    shapes = {name: shape for layer in layers(architecture) for name, shape in layer.weights().items()}
    weights = {name: random.standard_normal(shape).astype(np.float32) ** 2 for name, shape in shapes.items()}
    path.write_bytes(write_litert(architecture, weights))
    mean = (127.0, 127.0, 127.0)
    card = ModelCard("tiny", 32, 32, "RGB", mean, mean, "centre", 1.0, "embedding", architecture.dimension)
    path.with_suffix(".json").write_text(card.to_json())
    return path


def jpeg(n: int) -> bytes:
    """The n-th photo: a part of a real one, tinted."""
    whole = Image.open(CHINA).convert("RGB")
    left, top = 131 * n % (whole.width - 96), 113 * n % (whole.height - 96)
    tint = Image.new("RGB", (96, 96), f"hsl({37 * n % 360}, 100%, 50%)")
    photo = Image.blend(whole.crop((left, top, left + 96, top + 96)), tint, 0.3)
    file = io.BytesIO()
    photo.save(file, "JPEG", comment=str(n).encode())
    return file.getvalue()
