"""One machine's share of a large catalogue: 30 million vectors of 256, beside the configuration it replaces.

That is Faiss' IVFPQ with 8,192 cells, 32 of them probed, and 64-byte codes, without re-ranking. Every stage has a
process of its own and its result is kept in the work directory: an interrupted run resumes with the next. Vectors are
made as they are needed. 30 million take about 50 GB of disk while they are compacted, and hours. Writes
docs/benchmarks/shard.md and .png.

    python benchmarks/shard.py [--items 30000000]
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from measuring.clustered import DESCRIPTION
from measuring.machine import describe
from measuring.shard_job import CODE_BYTES, QUERIES, TRUE_QUERIES, K
from measuring.subprocesses import keep_results, read_results, run_job

ROOT = Path(__file__).parents[1]
_SLICE = 1 << 20
_RECALL, _BAR_MS = 0.95, 5.0


@click.command(help=__doc__)
@click.option("--items", default=30_000_000, show_default=True)
@click.option("--cells", default=8_192, show_default=True, help="The peer's; fewer for a quick look.")
@click.option("--work", default=ROOT / "build" / "bench" / "shard", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(items: int, cells: int, work: Path, out: Path) -> None:
    work = work / f"{items}-{cells}"
    work.mkdir(parents=True, exist_ok=True)
    results = read_results(work / "results.json")
    for key, job in stages(items):
        if key not in results:
            results[key] = run_job("measuring.shard_job", {**job, "items": items, "cells": cells, "work": str(work)})
            keep_results(work / "results.json", results)
            print(f"{key}: done" + (f", {results[key]['wall']:.0f} s" if "wall" in results[key] else ""), flush=True)
    out.mkdir(parents=True, exist_ok=True)
    page = "\n".join(report(results, items, cells))
    (out / "shard.md").write_text(page)
    plot(results, items, out / "shard.png")
    print(page)


def stages(items: int) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "truth", {"stage": "truth"}
    for first in range(0, items, _SLICE):
        yield f"load {first}", {"stage": "load", "first": first, "end": min(first + _SLICE, items)}
    for stage in ("compact", "search", "build peer", "search peer"):
        yield stage, {"stage": stage}


def report(results: dict[str, Any], items: int, cells: int) -> Iterator[str]:
    loads = [result for key, result in results.items() if key.startswith("load ")]
    ours, peer = results["search"], results["search peer"]
    writing, compacting = minutes(*loads), minutes(results["compact"])
    heap = max(each["peak_heap_bytes"] for each in (*loads, results["compact"])) / 1e9
    yield f"# A shard of {items:,} vectors"
    yield ""
    yield (
        f"Synthetic: {DESCRIPTION}. {describe()}. One query a call, one thread, warm; {QUERIES:,} queries, "
        f"recall@{K} on {TRUE_QUERIES} of them with exact answers."
    )
    yield ""
    yield (
        f"**Lykeion** was written durably in {writing} and compacted into one segment in {compacting}; its heap was "
        f"{heap:.1f} GB at most, vectors on their way in included. Searching, it is "
        f"{ours['heap_bytes'] / 1e6:.0f} MB and {ours['mapped_bytes'] / 1e9:.2f} GB of its files are in memory, "
        f"mapped. Bytes a vector: {per_vector(ours['files'], items)}."
    )
    yield ""
    yield (
        f"**Faiss IVFPQ**, {cells:,} cells, {CODE_BYTES}-byte codes, was built in {minutes(results['build peer'])}, "
        f"written once at the end, heap {results['build peer']['peak_heap_bytes'] / 1e9:.1f} GB; searching "
        f"{peer['heap_bytes'] / 1e9:.2f} GB. Bytes a vector: {per_vector(peer['files'], items)}."
    )
    yield ""
    yield "| | setting | p50, ms | p99, ms | recall |"
    yield "|---" * 5 + "|"
    for name, result in (("lykeion", ours), ("IVFPQ", peer)):
        for setting, figures in result["settings"].items():
            numbers = f"{figures['p50_ms']:.2f} | {figures['p99_ms']:.2f} | {figures['recall']:.3f}"
            yield f"| {name} | {setting} | {numbers} |"
    yield ""
    enough = [each["p50_ms"] for each in ours["settings"].values() if each["recall"] >= _RECALL]
    codes = ours["files"].get("codes.bin", 0)
    yield (
        f"Bars: p50 at recall ≥ {_RECALL} {min(enough):.2f} of {_BAR_MS:g} ms; "
        if enough
        else f"Bars: recall ≥ {_RECALL} not reached; "
    ) + f"heap over codes {ours['heap_bytes'] / max(codes, 1):.2f} of 2."
    yield ""
    yield "![](shard.png)"
    yield ""
    yield f"`python benchmarks/shard.py --items {items}` writes this page."
    yield ""


def minutes(*stages: dict[str, Any]) -> str:
    """Processor time is what to compare: other work on the machine does not count in it."""
    wall, cpu = (sum(stage[name] for stage in stages) / 60 for name in ("wall", "cpu"))
    return f"{wall:.1f} min ({cpu:.1f} min of processor time)"


def per_vector(files: dict[str, int], items: int) -> str:
    sizes = sorted(files.items(), key=lambda file: -file[1])
    return ", ".join(f"{name} {size / items:.1f}" for name, size in sizes if size / items >= 0.05)


def plot(results: dict[str, Any], items: int, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, stage, colour in (("lykeion", "search", "#c2410c"), ("Faiss IVFPQ", "search peer", "#64748b")):
        settings = sorted(results[stage]["settings"].values(), key=lambda each: each["p50_ms"])
        recalls, times = [each["recall"] for each in settings], [each["p50_ms"] for each in settings]
        axes.plot(recalls, times, "o-", label=name, color=colour)
    axes.axhline(_BAR_MS, linestyle=":", color="grey")
    axes.set_yscale("log")
    axes.set_xlabel(f"recall@{K}, {items:,} vectors")
    axes.set_ylabel("p50, ms")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
