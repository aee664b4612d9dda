"""From a shell to the answers: `lykeion index query photo.jpg`, in a new process each time.

The whole command, and beside it a process that does the same step by step: Python itself, imports, opening the index,
loading the network, the first vector, the first answer. Each is done with the index's pages in memory, and after the
system was asked to drop them. The vectors are clustered and no photos': what an index costs to open depends on its
size. Writes docs/benchmarks/cold.md.

    python benchmarks/cold.py [--rows 1000000] [--passes 15]
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from measuring.embeddings import perturbed
from measuring.machine import describe, size_on_disk
from measuring.subprocesses import run_job

from lykeion.search import Embedder
from lykeion.search.index import open_index

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "tests" / "photos" / "flower.jpg"
GOAL_S = 0.5
COMMAND = "the command"
STATES = {"in memory": False, "dropped": True}


@click.command(help=__doc__)
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the index.")
@click.option("--passes", default=15, show_default=True, help="Of each; the least and the median are reported.")
@click.option("--work", default=ROOT / "build" / "bench" / "cold", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(rows: int, passes: int, work: Path, out: Path) -> None:
    index = build(work / f"{rows}.index", rows)
    others = os.getloadavg()[0]
    runs: dict[str, list[dict[str, tuple[float, float]]]] = {state: [] for state in STATES}
    for _ in range(passes):
        for state, drop in STATES.items():
            runs[state].append({**once(index, drop), **steps(index, drop)})
    out.mkdir(parents=True, exist_ok=True)
    page = "\n".join(report(runs, rows, f"{passes} passes, load {others:.1f} before", index))
    (out / "cold.md").write_text(page)
    print(page)


def build(path: Path, rows: int) -> Path:
    """An index of vectors of the default embedder's dimension and digest, kept from an earlier run."""
    done = path.with_suffix(".done")
    if done.exists():
        return path
    shutil.rmtree(path, ignore_errors=True)
    embedder = Embedder.load()
    centres = np.random.default_rng(0).standard_normal((2_000, embedder.dimension)).astype(np.float32)
    with open_index(path, "w", dimension=embedder.dimension, embedder=embedder.digest) as index:
        for start, chunk in perturbed(centres, rows):
            names = range(start, start + len(chunk))
            index.upsert([str(row) for row in names], chunk, [{"price": row % 9_973} for row in names])
        index.compact(full=True)
    done.touch()
    return path


def once(index: Path, drop: bool) -> dict[str, tuple[float, float]]:
    """Seconds by the clock and of the processor from starting the command to its end."""
    if drop:
        drop_pages(index)
    program = "from lykeion.cli import main; main()"
    command = [sys.executable, "-c", program, "index", "query", str(PHOTO), "--index", str(index)]
    began = time.perf_counter()
    process = os.posix_spawn(
        command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, used = os.wait4(process, 0)
    took = time.perf_counter() - began
    if status:
        raise click.ClickException(f"the command ended with {status}")
    return {COMMAND: (took, used.ru_utime + used.ru_stime)}


def steps(index: Path, drop: bool) -> dict[str, tuple[float, float]]:
    if drop:
        drop_pages(index)
    job = {"index": str(index), "photo": str(PHOTO), "began": time.clock_gettime(time.CLOCK_MONOTONIC)}
    return {name: tuple(times) for name, times in run_job("measuring.cold_job", job).items()}


def drop_pages(index: Path) -> None:
    """Ask the system to forget what it holds of the index's files (Linux)."""
    for path in index.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def report(
    runs: dict[str, list[dict[str, tuple[float, float]]]], rows: int, passes: str, index: Path
) -> Iterator[str]:
    yield "# From a shell to the answers"
    yield ""
    yield (
        f"`lykeion index query photo.jpg`, {rows:,} rows, {size_on_disk(index) / 2**30:.1f} GiB; {passes}, of "
        f"which the least and the median; {describe()}. Milliseconds by the clock, and of processor time. *Dropped*: "
        "the system was asked to drop the index's pages from memory before each pass."
    )
    yield ""
    yield "| | in memory: least | median | processor, least | dropped: least | median | processor, least |"
    yield "|---" * 7 + "|"
    for name in next(iter(runs.values()))[0]:
        cells: list[str] = []
        for passed in runs.values():
            wall, processor = np.array([each[name] for each in passed]).T * 1e3
            cells += [f"{wall.min():.0f}", f"{np.median(wall):.0f}", f"{processor.min():.0f}"]
        yield f"| {name} | {' | '.join(cells)} |"
    clock, processor = (min(each[COMMAND][which] for each in runs["in memory"]) for which in (0, 1))
    yield ""
    yield (
        f"Goal: {GOAL_S} s for the command with pages in memory; it took {clock:.2f} s at least, of which "
        f"{processor:.2f} s of the processor. Other work on the machine lengthens both, the former more."
    )
    yield ""
    yield "`python benchmarks/cold.py` writes this page."
    yield ""


if __name__ == "__main__":
    main()
