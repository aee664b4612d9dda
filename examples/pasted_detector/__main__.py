import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # which exports LiteRT files

from pathlib import Path

import click
import numpy as np

from examples.fashion_mnist.dataset import read_sample, read_whole_or_sample, say_on_stderr
from lykeion.core import LykeionError

from .measuring import measure
from .network import write_detector
from .training import train


@click.command(help="Train a detector of pasted clothes, write it to DIRECTORY, and measure what it finds.")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--steps", type=click.IntRange(1), default=1_500, show_default=True, help="Of 32 scenes each.")
@click.option("--scenes", type=click.IntRange(1), default=300, show_default=True, help="To measure with.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--sample", is_flag=True, help="Only the 2,000 photos that lie in examples/fashion_mnist.")
def main(directory: Path, steps: int, scenes: int, seed: int, sample: bool) -> None:
    try:
        data = read_sample() if sample else read_whole_or_sample()
        images, labels = data.splits["train"]
        kept = len(images) * 9 // 10  # scenes to measure with have other photos
        path = write_detector(train((images[:kept], labels[:kept]), steps, seed=seed, say=say_on_stderr), directory)
        found = measure(path, (images[kept:], labels[kept:]), scenes, np.random.default_rng(seed + 1))
    except LykeionError as error:
        raise click.ClickException(str(error)) from error
    print(f"{path}: {path.stat().st_size:,} bytes")
    print(f"{found.things} things in {scenes} scenes of photos that it was not trained on:")
    print(f"mAP {found.precision:.3f}, recall {found.recall:.3f}, right but for the label {found.located:.3f}")


main()
