"""Time per photo before and after the network: decoding, cropping and scaling, and reading the output."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np

from lykeion.engines.running import specs
from lykeion.litert import Graph
from lykeion.vision import CardError, ModelCard, decode, normalise

RUNS = 15
TOP = 5


@dataclass(frozen=True, slots=True)
class PhotoWork:
    """The minimum over several runs, on one thread."""

    before_ms: float
    after_ms: float


def photo_work(source: Path | None, graph: Graph, photo: Path | None = None) -> PhotoWork | None:
    """Measured by the model's card if there is one, else by the shape of its input; on a generated photo of 640 × 480
    if none is given. None for models that do not take photos. Raises PhotoError."""
    given, made = specs(graph)
    first, output = given[0], made[0]
    if len(first.shape) != 4 or first.shape[3] not in (1, 3) or min(first.shape[1:3]) < 1:
        return None
    card = _card(source, first.shape)
    content = photo.read_bytes() if photo else _made_photo()
    answer = np.linspace(-4, 4, max(output.shape[-1], 1), dtype=np.float32)
    values = output.encode(answer)

    def before() -> None:
        pixels = decode(content, at_least=card.at_least).pixels(card)
        first.encode(normalise(pixels[np.newaxis], card))

    def after() -> None:
        """The most likely classes by probability."""
        logits = output.decode(values)
        chances = np.exp(logits - logits.max())
        chances /= chances.sum()
        np.argsort(-chances)[:TOP]

    return PhotoWork(_least_ms(before), _least_ms(after))


def _card(source: Path | None, shape: tuple[int, ...]) -> ModelCard:
    if source is not None:
        try:
            return ModelCard.for_model(source)
        except CardError:
            pass  # use the input's shape instead
    channels = shape[3]
    return ModelCard(
        name="model",
        height=shape[1],
        width=shape[2],
        channels="RGB" if channels == 3 else "grey",
        mean=(127.5,) * channels,
        std=(127.5,) * channels,
        crop="centre",
        crop_fraction=1.0,
        output="output",
        dimension=1,
    )


def _made_photo() -> bytes:
    """A JPEG with the size, and about as much detail, as a shop's photo."""
    from PIL import Image

    coarse = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def _least_ms(work: Callable[[], None]) -> float:
    times = []
    for _ in range(RUNS):
        began = perf_counter()
        work()
        times.append(perf_counter() - began)
    return 1e3 * min(times)
