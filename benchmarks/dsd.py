"""Does dense-sparse-dense training gain anything over training as long without the sparse phase?

``python benchmarks/dsd.py`` writes docs/benchmarks/dsd.md. MobileNetV2 at half width, with strides for 32², on
Fashion-MNIST, some seeds; each is trained densely, and then once by DSD's sparse and dense phase and once by the same
recipes without the mask. Resumable.
"""

import statistics
from pathlib import Path
from typing import Any

import click
from measuring.compress_recipes import base, network
from measuring.fashion_npz import photos_for
from measuring.machine import describe
from measuring.subprocesses import keep_results, read_results

from lykeion.compress import Dsd, open_model
from lykeion.compress.methods.dsd import apply
from lykeion.nets.training import Dataset, load_data, train_network

NETWORK = "mobilenet-v2-0.5"
PAGE = Path("docs/benchmarks/dsd.md")


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/bench/dsd"), show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--photos", type=click.IntRange(50), default=25_000, show_default=True)
@click.option("--dense", type=click.IntRange(1), default=3, show_default=True, help="Epochs of the first training.")
@click.option("--epochs", type=click.IntRange(1), default=1, show_default=True, help="Of each phase after it.")
@click.option("--sparsity", type=float, default=0.3, show_default=True)
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(work: Path, seeds: int, photos: int, dense: int, epochs: int, sparsity: float, page: Path) -> None:
    data = load_data(photos_for(work, photos), height=32, width=32, channels=3)
    results = read_results(work / "results.json")
    for seed in range(seeds):
        if str(seed) not in results:
            results[str(seed)] = one_seed(work / str(seed), data, dense, epochs, sparsity, seed)
            keep_results(work / "results.json", results)
    found = [results[str(seed)] for seed in range(seeds)]
    gains = [100 * each["gain"] for each in found]
    spread = statistics.stdev(gains) if seeds > 1 else 0.0
    rows = [
        f"| {seed} | {each['before']:.2%} | {each['control_accuracy']:.2%} | {each['validation_accuracy']:.2%} | "
        f"{100 * each['gain']:+.2f} |"
        for seed, each in enumerate(found)
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        "\n".join(
            [
                "# Dense-sparse-dense training",
                "",
                f"{NETWORK} with strides for 32² on Fashion-MNIST, {len(data.train):,} photos; {dense} epochs, then "
                f"{epochs} with {sparsity:.0%} of zeros and {epochs} without; accuracy on "
                f"{len(data.validation):,} validation photos. {describe()}.",
                "",
                "| seed | dense | as long without the mask | DSD | gain, points |",
                "|---:|---:|---:|---:|---:|",
                *rows,
                "",
                f"Gain: {statistics.fmean(gains):+.2f} ± {spread:.2f} points (mean and standard deviation of seeds).",
                "",
                "`python benchmarks/dsd.py` writes this page.",
                "",
            ]
        )
    )
    print(page)


def one_seed(work: Path, data: Dataset, dense: int, epochs: int, sparsity: float, seed: int) -> dict[str, Any]:
    run = work / "dense"
    if not (run / "report.json").exists():
        train_network(network(NETWORK), data, base(seed, dense), run)
    before = read_results(run / "report.json")["validation_accuracy"]
    _, report = apply(
        open_model(run), data, Dsd(training=base(seed, epochs), sparsity=sparsity, control=True), work / "dsd"
    )
    return {"before": before, **report}


if __name__ == "__main__":
    main()
