"""What int8 costs: rounded after training, and trained as int8.

``python benchmarks/qat.py`` writes docs/benchmarks/qat.md. MobileNetV2 at half width, with strides for 32², on
Fashion-MNIST, some seeds; or ``--networks`` such as mobilenet-v3-small. From one trained network:
ai-edge-quantizer's static int8; ours, with ranges alone; ours, trained; and, because that trained longer, float32
trained as long with the same recipe. Resumable.
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from measuring.compress_recipes import base, network
from measuring.fashion_npz import photos_for
from measuring.machine import describe
from measuring.subprocesses import keep_results, read_results

from lykeion.compress import Qat, Quantize, Step, StepRow, compress, open_model, save
from lykeion.nets.training import Dataset, load_data, train_network

NETWORKS = ("mobilenet-v2-0.5",)
PAGE = Path("docs/benchmarks/qat.md")
WAYS = (
    "float32",
    "float32, trained on",
    "static int8, ai-edge-quantizer",
    "int8, ours, ranges alone",
    "int8, ours, trained",
)


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/bench/qat"), show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--networks", multiple=True, default=NETWORKS, show_default=True, help="By name; repeatable.")
@click.option("--photos", type=click.IntRange(50), default=25_000, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=3, show_default=True, help="Of the float32 training.")
@click.option("--more", type=click.IntRange(1), default=1, show_default=True, help="Epochs in int8.")
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(work: Path, seeds: int, networks: tuple[str, ...], photos: int, epochs: int, more: int, page: Path) -> None:
    data = load_data(photos_for(work, photos), height=32, width=32, channels=3)
    results = read_results(work / "results.json")
    for name in networks:
        for seed in range(seeds):
            if f"{name} {seed}" not in results:
                found = one_seed(name, work / name / str(seed), data, epochs, more, seed)
                results[f"{name} {seed}"] = [row.to_json() for row in found]
                keep_results(work / "results.json", results)
    lines = [line for name in networks for line in table(name, results, seeds)]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(
        "\n".join(
            [
                "# Int8: after training, and in training",
                "",
                f"Fashion-MNIST at 32², networks with strides for that, {len(data.train):,} photos to train on, "
                f"{len(data.test):,} to test; {seeds} "
                f"seeds, mean ± standard deviation; {epochs} epochs, then {more}. Agreement is the share of photos "
                "that the simulated network and the int8 file name alike. "
                f"{describe()}.",
                "",
                "| network | way | top-1, % | against float32 trained on | agreement | file, kB |",
                "|---|---|---:|---:|---:|---:|",
                *lines,
                "",
                "`python benchmarks/qat.py` writes this page.",
                "",
            ]
        )
    )
    print(page)


def one_seed(name: str, work: Path, data: Dataset, epochs: int, more: int, seed: int) -> list[StepRow]:
    run = work / "dense"
    if not (run / "report.json").exists():
        train_network(network(name), data, base(seed, epochs), run)
    recipe = replace(base(seed, more), learning_rate=0.0003)
    dense = open_model(run)
    longer = work / "longer-network"
    if not (longer / "model.tflite").exists():
        from lykeion.compress.trainable.keras_network import fit

        save(fit(dense, data, recipe, work / "longer-training")[0], longer)
    ways = {
        "longer": (open_model(longer), []),
        "static": (dense, [Step("quantize", Quantize(mode="int8", calibration=512))]),
        "ranges": (dense, [Step("qat", Qat())]),
        "trained": (dense, [Step("qat", Qat(training=recipe))]),
    }
    rows = {
        name: compress(model, data, steps, work / name, test=True, latency=False)
        for name, (model, steps) in ways.items()
    }
    return [rows["static"][0], *(found[-1] for found in rows.values())]


def table(name: str, results: dict[str, list[dict[str, object]]], seeds: int) -> list[str]:
    runs = [[StepRow.from_json(row) for row in results[f"{name} {seed}"]] for seed in range(seeds)]
    lines = []
    for place, way in enumerate(WAYS):
        rows = [run[place] for run in runs]
        lost = [100 * ((run[place].test_accuracy or 0) - (run[1].test_accuracy or 0)) for run in runs]
        agreement = [row.notes["agreement"] for row in rows if "agreement" in row.notes]
        lines.append(
            f"| {name} | {way} | {shown([100 * (row.test_accuracy or 0) for row in rows])} | "
            f"{shown(lost, '+') if place != 1 else ''} | {f'{min(agreement):.2%}' if agreement else ''} | "
            f"{rows[0].sizes.file / 1000:,.0f} |"
        )
    return lines


def shown(values: Sequence[float], sign: str = "") -> str:
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.fmean(values):{sign}.2f} ± {spread:.2f}"


if __name__ == "__main__":
    main()
