"""From a photo's file to its answers: 640² JPEGs, over the vectors of 70,000 photos and over a million.

The vectors are those of Fashion-MNIST by the default embedder; the million are the same, then copies moved a little.
In process a photo is decoded, embedded and searched by one thread; over HTTP the service is asked by 1, 8 and 64
clients on the same machine. Each is measured at rest and while the index is being rewritten as compaction does it.
Embedding takes minutes, once; what is done is kept in the work directory. Writes docs/benchmarks/query.md and .png.

    python benchmarks/query.py [--photos 70000] [--vectors 1000000] [--requests 1000]
"""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from measuring.embeddings import MOVED, embeddings, perturbed, write_queries
from measuring.latency import timed_together
from measuring.machine import describe
from measuring.nearest import Nearest
from measuring.query_job import K
from measuring.service import compacting, photo_request, serving
from measuring.subprocesses import keep_results, read_results, run_job

from examples.fashion_mnist import CATEGORIES
from lykeion.search import Embedder
from lykeion.search.index import LocalIndex, open_index

ROOT = Path(__file__).parents[1]
CLIENTS = (1, 8, 64)
QUERIES = 100


@click.command(help=__doc__)
@click.option("--photos", default=70_000, show_default=True, help="Photos embedded; fewer for a quick look.")
@click.option("--vectors", default=1_000_000, show_default=True, help="Rows of the larger index.")
@click.option("--requests", default=1_000, show_default=True, help="Photos asked in each measurement.")
@click.option("--work", default=ROOT / "build" / "bench" / "query", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(photos: int, vectors: int, requests: int, work: Path, out: Path) -> None:
    embedder = Embedder.load()
    known = embeddings(embedder, photos, work)
    queries = work / "photos"
    if not queries.exists():
        partly = work / "photos.part"
        shutil.rmtree(partly, ignore_errors=True)
        write_queries(partly, QUERIES)
        partly.rename(queries)
    results = read_results(work / "results.json")
    for rows in (len(known), vectors):
        index, truth = build(work, known, rows, embedder, queries)
        for busy in (False, True):
            job = {"index": str(index), "photos": str(queries), "truth": str(truth), "requests": requests}
            for name, measured in measurements({**job, "compacting": busy}):
                key = f"{rows} {name} {'compacting' if busy else 'at rest'} {requests}"
                if key not in results:
                    results[key] = measured()
                    keep_results(work / "results.json", results)
                figures = results[key]
                print(f"{key}: p50 {figures['p50_ms']:.1f} ms, p99 {figures['p99_ms']:.1f} ms", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "query.md").write_text("\n".join(report(results, (len(known), vectors), requests, embedder)))
    plot(results, (len(known), vectors), requests, out / "query.png")


def build(work: Path, known: np.ndarray, rows: int, embedder: Embedder, photos: Path) -> tuple[Path, Path]:
    """The index of so many rows, and the exact answers to the query photos; kept from an earlier run."""
    path, truth = work / f"{len(known)}-{rows}.index", work / f"{len(known)}-{rows}.truth.npy"
    if truth.exists():
        return path, truth
    shutil.rmtree(path, ignore_errors=True)
    asked = np.stack([embedder.embed_photo(photo).vector for photo in sorted(photos.glob("*.jpg"))])
    nearest = Nearest(asked, K)
    index = open_index(path, "w", dimension=embedder.dimension, embedder=embedder.digest, background=False)
    assert isinstance(index, LocalIndex)
    with index:
        for start, chunk in perturbed(known, rows):
            names = range(start, start + len(chunk))
            attributes = [{"category": CATEGORIES[row % 10], "price": row % 9_973} for row in names]
            index.upsert([str(row) for row in names], chunk, attributes)
            nearest.offer(start, chunk)
        index.compact(full=True)
    np.save(truth, nearest.rows)
    return path, truth


def measurements(job: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "in process", partial(run_job, "measuring.query_job", job)
    for clients in CLIENTS:
        yield f"HTTP, clients: {clients}", partial(over_http, job, clients)


def over_http(job: dict[str, Any], clients: int) -> dict[str, float]:
    """The photos divided among clients, each with one connection that stays open."""
    photos = [path.read_bytes() for path in sorted(Path(job["photos"]).glob("*.jpg"))]
    share = max(job["requests"] // clients, 10)
    with serving(Path(job["index"])) as address, compacting(Path(job["index"]), job["compacting"]):
        asking = [photo_request(address, K) for _ in range(clients)]
        timed_together([[partial(ask, photos[0])] * 3 for ask in asking])
        return timed_together(
            [
                [partial(ask, photos[(number + step) % len(photos)]) for step in range(share)]
                for number, ask in enumerate(asking)
            ]
        )


def report(results: dict[str, Any], sizes: tuple[int, int], requests: int, embedder: Embedder) -> Iterator[str]:
    yield "# From a photo to its answers"
    yield ""
    yield (
        f"640² JPEGs, {embedder.name} ({embedder.dimension} dimensions), k = {K} with attributes, {requests:,} "
        f"photos a measurement. {describe()}, clients included. Vectors: Fashion-MNIST by the embedder; beyond "
        f"{sizes[0]:,} rows, copies moved by {MOVED} of the difference of two others. Queries: photos of the "
        "catalogue, enlarged, turned and noisy. *Compacting*: the whole index is "
        "rewritten meanwhile, at low priority, in the same process or, over HTTP, in one beside the service."
    )
    yield ""
    yield "| rows | asked | at rest: p50, ms | p99, ms | photos/s | compacting: p50, ms | p99, ms | photos/s |"
    yield "|---" * 8 + "|"
    for rows in sizes:
        for name in ("in process", *(f"HTTP, clients: {clients}" for clients in CLIENTS)):
            cells = [f"{rows:,}", name]
            for state in ("at rest", "compacting"):
                figures = results[f"{rows} {name} {state} {requests}"]
                cells += [f"{figures['p50_ms']:.1f}", f"{figures['p99_ms']:.1f}", f"{figures['per_second']:.0f}"]
            yield f"| {' | '.join(cells)} |"
    yield ""
    for rows in sizes:
        figures = results[f"{rows} in process at rest {requests}"]
        search = figures["search"]
        yield (
            f"Of the time in process over {rows:,} rows, the search alone takes {search['p50_ms']:.2f} ms at the "
            f"median, {search['p99_ms']:.2f} ms at the 99th percentile; recall@{K} {figures['recall']:.3f}."
        )
        if "parts" in figures:
            parts = ", ".join(f"{part} {ms:.2f}" for part, ms in figures["parts"].items())
            yield f"Processor time by part, ms: {parts}."
        yield ""
    yield f"Bar: {results[f'{sizes[1]} in process at rest {requests}']['p50_ms']:.1f} of 15 ms at {sizes[1]:,} rows."
    yield ""
    yield "![](query.png)"
    yield ""
    yield "`python benchmarks/query.py` writes this page."
    yield ""


def plot(results: dict[str, Any], sizes: tuple[int, int], requests: int, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    names = ("in process", *(f"HTTP, clients: {clients}" for clients in CLIENTS))
    for axes, rows in zip(figure.subplots(1, 2, sharex=True, sharey=True), sizes, strict=True):
        for offset, (state, colour) in enumerate({"at rest": "#c2410c", "compacting": "#f0a679"}.items()):
            figures = [results[f"{rows} {name} {state} {requests}"] for name in names]
            places = [n + 0.38 * (offset - 0.5) for n in range(len(names))]
            axes.barh(places, [each["p50_ms"] for each in figures], 0.36, color=colour, label=f"{state}, p50")
            axes.plot([each["p99_ms"] for each in figures], places, "|", color="black", markersize=9)
        axes.set_title(f"{rows:,} rows (| is p99)", fontsize="medium")
        axes.set_yticks(range(len(names)), names)
        axes.set_xscale("log")
        axes.set_xlabel("ms")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].invert_yaxis()
    figure.axes[0].legend(frameon=False, fontsize="small")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
