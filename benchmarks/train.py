"""Is the training loop as fast as Keras' own ``fit``? Photos a second of both, on the same network and photos.

``python benchmarks/train.py`` writes docs/benchmarks/train.md. MobileNetV2 at half width on Fashion-MNIST at 32²,
batches of 128. Each way has a process of its own; they take turns, so that a busy neighbour slows all. The first
epoch of each, in which TensorFlow builds its graph, is left out.
"""

import os
import statistics
from importlib.metadata import version
from pathlib import Path

import click
from measuring.machine import describe
from measuring.subprocesses import run_job

NETWORK, BATCH = "mobilenet-v2-0.5@32", 128
WAYS = ("Keras fit on arrays", "train", "train, with flips and shifts")
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks" / "train.md"


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=Path("/usr/share/datasets/fashion-mnist"))
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option("--steps", type=click.IntRange(1), default=60, show_default=True, help="Of an epoch; two count.")
@click.option("--page", type=click.Path(path_type=Path), default=PAGE)
def main(data: Path, rounds: int, steps: int, page: Path) -> None:
    job = {"data": str(data.absolute()), "network": NETWORK, "batch": BATCH, "steps": steps}
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            rates[way].append(run_job("measuring.train_job", {**job, "way": way})["rate"])
            print(f"{way}: {rates[way][-1]:,.0f} photos/s", flush=True)
    page.write_text(report(rates, steps))
    print(page)


def report(rates: dict[str, list[float]], steps: int) -> str:
    base = rates[WAYS[0]]
    rows = []
    for way, measured in rates.items():
        ratio = statistics.median(one / other for one, other in zip(measured, base, strict=True))
        spread = f"{min(measured):,.0f} to {max(measured):,.0f}"
        rows.append(f"| {way} | {statistics.median(measured):,.0f} | {spread} | {ratio:.2f} |")
    return "\n".join(
        [
            "# Training: the loop's cost",
            "",
            f"{NETWORK}, batches of {BATCH}, {2 * steps} steps a round, {len(base)} rounds in turn; Keras "
            f"{version('keras')} on tensorflow; {describe()}; load {os.getloadavg()[0]:.1f}.",
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
