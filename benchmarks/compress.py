"""How small can a MobileNet be delivered, and what does it cost?

``python benchmarks/compress.py`` writes docs/benchmarks/compress.md and its picture. MobileNetV2 at half width, with
strides for 32², on Fashion-MNIST, for each seed: trained densely; then pruned, clustered and written in int8, step by
step; beside it trained on for as many steps with nothing compressed; and a narrower network in int8, whose package is
no larger, trained as long. ``--tfmot PYTHON`` (of a virtual environment with tensorflow-model-optimization, see
benchmarks/peers/tfmot_job.py) prunes and clusters the same dense network there, for as many steps.

Everything is kept under ``--work``: the same command resumes an interrupted run.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from matplotlib.figure import Figure
from measuring.compress_recipes import Plan, base, compressed, network, only_longer, small_int8
from measuring.fashion_npz import photos_for
from measuring.machine import describe
from measuring.subprocesses import keep_results, read_results
from peers import tfmot

from lykeion.compress import CompressedModel, StepRow, compress, open_model, sizes_of
from lykeion.engines.choosing import front
from lykeion.nets import INPUT, Architecture, layers, quantized_tensors, random_weights
from lykeion.nets.training import Dataset, load_data, train_network

NETWORK, FAMILY = "mobilenet-v2-0.5", "mobilenet-v2-{width}"
WIDTHS = (0.15, 0.2, 0.22, 0.25, 0.27, 0.3, 0.35, 0.4)
PAGE = Path("docs/benchmarks/compress.md")


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=Path("build/bench/compress"), show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True)
@click.option("--photos", type=click.IntRange(50), default=25_000, show_default=True)
@click.option("--dense", type=click.IntRange(1), default=Plan.dense, show_default=True, help="Epochs.")
@click.option("--prune", type=click.IntRange(1), default=Plan.prune, show_default=True, help="Epochs.")
@click.option("--cluster", type=click.IntRange(1), default=Plan.cluster, show_default=True, help="Epochs.")
@click.option("--sparsity", type=float, default=Plan.sparsity, show_default=True)
@click.option("--clusters", type=click.IntRange(2, 256), default=Plan.clusters, show_default=True)
@click.option("--bit-price", type=float, default=Plan.bit_price, show_default=True)
@click.option("--tfmot", "python", type=click.Path(path_type=Path), help="The Python of TFMOT's environment.")
@click.option("--page", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(work: Path, seeds: int, photos: int, python: Path | None, page: Path, **plan: Any) -> None:
    plan_ = Plan(**plan)
    data = load_data(photos_for(work, photos), height=32, width=32, channels=3)
    results = read_results(work / "results.json")
    for seed in range(seeds):
        for name, rows in one_seed(work / str(seed), data, plan_, seed, python).items():
            results.setdefault(name, {})[str(seed)] = [row.to_json() for row in rows]
        keep_results(work / "results.json", results)
    measured = {
        name: [[StepRow.from_json(row) for row in rows] for rows in by.values()] for name, by in results.items()
    }
    page.parent.mkdir(parents=True, exist_ok=True)
    draw(measured, page.with_suffix(".png"))
    page.write_text(report(measured, plan_, data, page))
    print(page)


def one_seed(work: Path, data: Dataset, plan: Plan, seed: int, python: Path | None) -> dict[str, Sequence[StepRow]]:
    """Rows of each way, the first of each the dense network that it began with."""
    teacher = dense(NETWORK, work / "dense", data, plan, seed)
    found = {
        "compressed": carry_out(teacher, data, compressed(plan, seed, teacher), work / "compressed"),
        "trained longer": carry_out(teacher, data, only_longer(plan, seed, teacher), work / "longer"),
    }
    narrow = of_equal_bytes(found["compressed"][-1].sizes.packed, data)
    start = dense(narrow, work / f"small-{narrow}", data, plan, seed)
    found["narrow int8"] = carry_out(start, data, small_int8(plan, seed, teacher), work / f"int8-{narrow}")
    if python:
        found["TFMOT"] = tfmot.rows(python, teacher, data, plan, seed, work / "tfmot")
    return found


def dense(name: str, run: Path, data: Dataset, plan: Plan, seed: int) -> Path:
    if not (run / "weights.npz").exists():
        train_network(network(name), data, base(seed, plan.dense), run)
    return run


def carry_out(model: Path, data: Dataset, steps: Any, run: Path) -> Sequence[StepRow]:
    return compress(open_model(model), data, steps, run, test=True, latency=False)


def of_equal_bytes(size: int, data: Dataset) -> str:
    """The widest network whose int8 package is no larger; its size hardly depends on what the weights are."""

    def packed(width: float) -> int:
        architecture = replace(network(FAMILY.format(width=width)), classes=len(data.classes))
        return sizes_of(untrained_int8(architecture)).packed

    fits = [width for width in WIDTHS if packed(width) <= size]
    return FAMILY.format(width=max(fits, default=WIDTHS[0]))


def untrained_int8(architecture: Architecture) -> CompressedModel:
    ranges = {name: (-4.0, 4.0) for layer in layers(architecture) for name in quantized_tensors(layer)}
    return CompressedModel(architecture, random_weights(architecture), ranges={INPUT: (-1.01, 1.01), **ranges})


def draw(measured: dict[str, list[list[StepRow]]], path: Path) -> None:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    points: list[tuple[float, float]] = []
    for name, runs in measured.items():
        sizes = [mean([row.sizes.packed / 1000 for row in rows]) for rows in zip(*runs, strict=True)]
        accuracies = [mean([100 * (row.test_accuracy or 0) for row in rows]) for rows in zip(*runs, strict=True)]
        spreads = [spread([100 * (row.test_accuracy or 0) for row in rows]) for rows in zip(*runs, strict=True)]
        axes.errorbar(sizes, accuracies, spreads, marker="o", capsize=3, label=name, alpha=0.8)
        points += zip(sizes, accuracies, strict=True)
        for row, size, accuracy in zip(runs[0], sizes, accuracies, strict=True):
            label = row.step.partition("-")[2]
            axes.annotate(label, (size, accuracy), xytext=(4, 4), textcoords="offset points", fontsize=7)
    best = np.array(points)[front(np.array(points) * (1, -1))]
    axes.plot(*best.T, color="0.6", linestyle=":", zorder=0)
    axes.set(xscale="log", xlabel="delivered, kB", ylabel="top-1 on test photos, %", title=NETWORK)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=130)


def report(measured: dict[str, list[list[StepRow]]], plan: Plan, data: Dataset, page: Path) -> str:
    original = measured["compressed"][0][0].sizes.file
    longer = measured["trained longer"]
    rows = []
    for name, runs in measured.items():
        for place, steps in enumerate(zip(*runs, strict=True)):
            # Against what the dense network has after as many steps: known at the end of each way.
            last = place == len(runs[0]) - 1
            lost = [
                100 * ((ours.test_accuracy or 0) - (theirs[-1].test_accuracy or 0))
                for ours, theirs in zip(steps, longer, strict=True)
            ]
            packed = mean([row.sizes.packed for row in steps])
            rows.append(
                f"| {name} | {steps[0].step} | {shown([100 * (row.test_accuracy or 0) for row in steps])} | "
                f"{shown(lost) if last and name != 'trained longer' else ''} | "
                f"{mean([row.sizes.file for row in steps]) / 1000:,.0f} | "
                f"{mean([row.sizes.zstd for row in steps]) / 1000:,.0f} | "
                f"{mean([row.sizes.huffman for row in steps]) / 1000:,.0f} | {packed / 1000:,.0f} | "
                f"{original / packed:.1f} × | {mean([row.sparsity for row in steps]):.0%} |"
            )
    seeds = len(measured["compressed"])
    return "\n".join(
        [
            "# Compression: bytes delivered against accuracy",
            "",
            f"{NETWORK} with strides for 32² on Fashion-MNIST, {len(data.train):,} photos to train on, "
            f"{len(data.test):,} to test; {seeds} "
            f"seeds, mean ± standard deviation. Epochs and settings: {asdict(plan)}. Sizes in kB of whole files with "
            f"logits; × is against the float32 file of {original / 1000:,.0f} kB. {describe()}.",
            "",
            "| way | step | top-1, % | to dense, as long | file | zstd | Huffman | delivered | smaller | zeros |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
            *rows,
            "",
            *against_tfmot(measured),
            f"![accuracy by bytes]({page.with_suffix('.png').name})",
            "",
            f"`python benchmarks/compress.py{' --tfmot PYTHON' if 'TFMOT' in measured else ''}` writes this page.",
            "",
        ]
    )


def against_tfmot(measured: dict[str, list[list[StepRow]]]) -> list[str]:
    """The ends of both ways, seed by seed: on as many validation photos too, for single runs differ by more."""
    if "TFMOT" not in measured:
        return []
    ends = [(ours[-1], theirs[-1]) for ours, theirs in zip(measured["compressed"], measured["TFMOT"], strict=True)]
    test = [100 * ((ours.test_accuracy or 0) - (theirs.test_accuracy or 0)) for ours, theirs in ends]
    validation = [100 * (ours.accuracy - theirs.accuracy) for ours, theirs in ends]
    bytes_ = mean([ours.sizes.packed / theirs.sizes.packed for ours, theirs in ends])
    return [
        f"Compressed against TFMOT, seed by seed: {shown(test)} points on test photos, {shown(validation)} on "
        f"validation photos, {bytes_:.2f} of the bytes.",
        "",
    ]


def mean(values: Sequence[float]) -> float:
    return statistics.fmean(values)


def spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def shown(values: Sequence[float]) -> str:
    """Signed where they are differences."""
    sign = "+" if min(values) < 1 else ""
    return f"{mean(values):{sign}.2f} ± {spread(values):.2f}"


if __name__ == "__main__":
    main()
