"""Is the training loop as fast as Keras' own ``fit``? Photos a second of both, on the same network and photos.

``python benchmarks/train.py`` writes docs/benchmarks/train.md. MobileNetV2 at half width on Fashion-MNIST at 32²,
batches of 128. Rounds take turns, so that a busy neighbour slows both; the first epoch of each round, in which
TensorFlow builds its graph, is left out.
"""

import os
import statistics
import time
from pathlib import Path

import click
import numpy as np
from measuring.machine import describe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from lykeion.nets import find
from lykeion.nets.keras_model import build
from lykeion.nets.training import Dataset, InMemory, Recipe, load_data, train
from lykeion.nets.training.frame import normalise

NETWORK, BATCH = "mobilenet-v2-0.5@32", 128
PAGE = Path("docs/benchmarks/train.md")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("/usr/share/datasets/fashion-mnist"))
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=60, show_default=True, help="Of an epoch; two count.")
def main(data: Path, rounds: int, steps: int) -> None:
    photos = load_data(data, height=32, width=32, channels=3)
    places = np.arange(steps * BATCH)
    few = Dataset(
        photos.name,
        photos.classes,
        photos.frame,
        InMemory(photos.train.read(places), photos.train.labels[places]),
        InMemory(photos.validation.read(places[:BATCH]), photos.validation.labels[:BATCH]),
        photos.test,
        photos.digest,
    )
    ways = {"Keras fit on arrays": plain, "train": ours, "train, with flips and shifts": augmented}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, measure in ways.items():
            rates[name].append(measure(few))
            print(f"{name}: {rates[name][-1]:,.0f} photos/s", flush=True)
    PAGE.write_text(report(rates, steps))
    print(PAGE)


def plain(data: Dataset) -> float:
    """As the Keras guides do it: all photos as float32 in memory."""
    model = build(find(NETWORK, classes=len(data.classes)))
    model.compile(
        keras.optimizers.AdamW(0.003, weight_decay=0.02),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = _Clock()
    images, labels = normalise(data.train.read(np.arange(len(data.train)))), data.train.labels
    model.fit(images, np.eye(len(data.classes))[labels], batch_size=BATCH, epochs=3, verbose=0, callbacks=[clock])
    return 2 * len(labels) / sum(clock.seconds[1:])


def ours(data: Dataset, **settings: object) -> float:
    recipe = Recipe(epochs=3, batch=BATCH, **settings)  # pyright: ignore[reportArgumentType]
    history = train(build(find(NETWORK, classes=len(data.classes))), data, recipe, quiet=True)
    return 2 * len(data.train) / sum(row["seconds_training"] for row in history.epochs[1:])


def augmented(data: Dataset) -> float:
    return ours(data, flip=True, shift=2)


class _Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self._started)


def report(rates: dict[str, list[float]], steps: int) -> str:
    base = rates["Keras fit on arrays"]
    rows = []
    for name, measured in rates.items():
        ratio = statistics.median(one / other for one, other in zip(measured, base, strict=True))
        spread = f"{min(measured):,.0f} to {max(measured):,.0f}"
        rows.append(f"| {name} | {statistics.median(measured):,.0f} | {spread} | {ratio:.2f} |")
    return "\n".join(
        [
            "# Training: the loop's cost",
            "",
            f"{NETWORK}, batches of {BATCH}, {2 * steps} steps a round, {len(base)} rounds in turn; Keras "
            f"{keras.__version__} on {keras.backend.backend()}; {describe()}; load {os.getloadavg()[0]:.1f}.",
            "",
            "| | photos/s, median | from to | of Keras fit |",
            "|---|---:|---:|---:|",
            *rows,
            "",
            "`python benchmarks/train.py` writes this page.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
