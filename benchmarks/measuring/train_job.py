"""Photos a second of one way to train, in a process of its own: what one way does to memory must not help another."""

import json
import sys
import time
from pathlib import Path

import numpy as np

from lykeion.core import SILENT
from lykeion.nets import build_keras, find
from lykeion.nets.quiet_keras import keras
from lykeion.nets.training import Dataset, InMemory, Recipe, load_data, normalise, train


def main() -> None:
    job = json.loads(sys.argv[1])
    data = few(Path(job["data"]), job["steps"] * job["batch"], job["batch"])
    model = build_keras(find(job["network"], classes=len(data.classes)))
    seconds = WAYS[job["way"]](model, data, job["batch"])
    print(json.dumps({"rate": len(data.train) * len(seconds) / sum(seconds)}))


def few(path: Path, photos: int, validation: int) -> Dataset:
    whole = load_data(path, height=32, width=32, channels=3)
    places = np.arange(photos)
    return Dataset(
        whole.name,
        whole.classes,
        whole.frame,
        InMemory(whole.train.read(places), whole.train.labels[places]),
        InMemory(whole.validation.read(places[:validation]), whole.validation.labels[:validation]),
        whole.test,
        whole.digest,
    )


def plain(model: keras.Model, data: Dataset, batch: int) -> list[float]:
    """As the Keras guides do it: all photos as float32 in memory. Seconds of each epoch but the first."""
    model.compile(
        keras.optimizers.AdamW(0.003, weight_decay=0.02),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    clock = _Clock()
    images, labels = normalise(data.train.read(np.arange(len(data.train)))), data.train.labels
    targets = np.eye(len(data.classes))[labels]
    model.fit(images, targets, batch_size=batch, epochs=3, verbose=0, callbacks=[clock])  # pyright: ignore
    return clock.seconds[1:]


def ours(model: keras.Model, data: Dataset, batch: int, **settings: object) -> list[float]:
    recipe = Recipe(epochs=3, batch=batch, **settings)  # pyright: ignore[reportArgumentType]
    history = train(model, data, recipe, reporter=SILENT)
    return [row["seconds_training"] for row in history.epochs[1:]]


def augmented(model: keras.Model, data: Dataset, batch: int) -> list[float]:
    return ours(model, data, batch, flip=True, shift=2)


WAYS = {"Keras fit on arrays": plain, "train": ours, "train, with flips and shifts": augmented}


class _Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        self.seconds.append(time.perf_counter() - self._started)


if __name__ == "__main__":
    main()
