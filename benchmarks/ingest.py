"""Photos a second of the whole ``index add``, against the bound that its stages set on the same cores.

Decoding (with reading and resizing) and embedding are measured alone, each on all cores; photos that go through both
on those cores can come at 1 / (1/decode + 1/embed) a second at most. Stages and whole runs are interleaved, and each
figure is of the best round. The same is said in processor time, which a busy machine disturbs less.
Writes docs/benchmarks/ingest.md and .png.

    python benchmarks/ingest.py [--photos 400] [--rounds 5]
"""

import io
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from measuring.machine import describe
from PIL import Image

from lykeion.core import SILENT, core_count
from lykeion.search import Embedder
from lykeion.search.ingest import IngestOptions, add
from lykeion.search.thumbnails import NO_THUMBNAILS
from lykeion.vision import decode

ROOT = Path(__file__).parents[1]
SIDES = (640, 1000)
DECODE, EMBED, BARE, WHOLE = "decode", "embed", "index add --no-thumbnails", "index add"


@dataclass(frozen=True)
class Times:
    """Seconds a photo of each stage, by one clock."""

    seconds: dict[str, float]

    @property
    def bound(self) -> float:
        return self.seconds[DECODE] + self.seconds[EMBED]

    def share(self, name: str) -> float:
        """Of the bound that this stage reaches."""
        return self.bound / self.seconds[name]


@click.command(help=__doc__)
@click.option("--photos", default=400, show_default=True, help="Photos of each size.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(photos: int, rounds: int, out: Path) -> None:
    embedder = Embedder.load()
    others = os.getloadavg()[0]
    wall: dict[int, Times] = {}
    processor: dict[int, Times] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for side in SIDES:
            folder = Path(temporary) / str(side)
            size = write_photos(folder, side, photos)
            wall[side], processor[side] = measure(folder, embedder, rounds)
            print(f"{side}², {size / 1024:.0f} KiB: {wall[side].share(WHOLE):.2f} of the bound", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    what = f"{embedder.name}, {photos} JPEGs of each size, best of {rounds} rounds, load {others:.1f} before"
    page = report(wall, processor, what)
    (out / "ingest.md").write_text(page)
    plot(wall, out / "ingest.png")
    print(page)


def write_photos(folder: Path, side: int, count: int) -> float:
    """Squares cut from the test photos at random scales; returns the mean size in bytes."""
    folder.mkdir()
    random = np.random.default_rng(side)
    sources = [Image.open(path).convert("RGB") for path in sorted((ROOT / "tests" / "photos").glob("*.jpg"))]
    total = 0
    for number in range(count):
        source = sources[number % len(sources)]
        part = int(min(source.size) * random.uniform(0.5, 1.0))
        left, top = (int(random.integers(0, whole - part + 1)) for whole in source.size)
        photo = source.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + part, top + part))
        file = io.BytesIO()
        photo.save(file, "JPEG", quality=90)
        total += len(file.getvalue())
        (folder / f"{number}.jpg").write_bytes(file.getvalue())
    return total / count


def measure(folder: Path, embedder: Embedder, rounds: int) -> tuple[Times, Times]:
    """By the wall clock and in processor time."""
    paths = sorted(folder.iterdir())
    card = embedder.card

    def decoded(path: Path) -> np.ndarray:
        return decode(path.read_bytes(), name=path.name, at_least=card.at_least).pixels(card)

    pixels = [decoded(path)[np.newaxis] for path in paths[:64]]
    stages = {
        DECODE: lambda: on_all_cores(decoded, paths),
        EMBED: lambda: on_all_cores(embedder.embed, [pixels[n % len(pixels)] for n in range(len(paths))]),
        BARE: lambda: whole(folder, embedder, IngestOptions(thumbnails=NO_THUMBNAILS)),
        WHOLE: lambda: whole(folder, embedder, IngestOptions()),
    }
    best = {name: (float("inf"), float("inf")) for name in stages}
    for _ in range(rounds):
        for name, stage in stages.items():
            wall, processor = time.perf_counter(), time.process_time()
            stage()
            took = (time.perf_counter() - wall) / len(paths), (time.process_time() - processor) / len(paths)
            best[name] = min(best[name][0], took[0]), min(best[name][1], took[1])
    return Times({name: took[0] for name, took in best.items()}), Times(
        {name: took[1] for name, took in best.items()}
    )


def on_all_cores(act: Callable, items: Sequence) -> None:
    with ThreadPoolExecutor(core_count()) as pool:
        for _ in pool.map(act, items):
            pass


def whole(folder: Path, embedder: Embedder, options: IngestOptions) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        done = add(folder, Path(temporary) / "index", options, embedder=embedder, reporter=SILENT)
    assert not done.failed


def report(wall: dict[int, Times], processor: dict[int, Times], what: str) -> str:
    lines = ["# Ingest: the whole of `index add` against its bound", "", f"{what}; {describe()}.", ""]
    lines += ["Photos a second, and the share of the bound 1 / (1/decode + 1/embed):", ""]
    lines += table(wall, lambda seconds: f"{1 / seconds:.1f}")
    lines += ["", "The same in milliseconds of processor time a photo:", ""]
    lines += table(processor, lambda seconds: f"{seconds * 1e3:.2f}")
    lines += ["", "![Photos a second](ingest.png)", "", "`python benchmarks/ingest.py` writes this page.", ""]
    return "\n".join(lines)


def table(times: dict[int, Times], shown: Callable[[float], str]) -> list[str]:
    lines = [f"| photos | {DECODE} | {EMBED} | bound | {BARE} | {WHOLE} |", "|---|---|---|---|---|---|"]
    for side, each in times.items():
        stages = [f"{shown(each.seconds[name])} ({each.share(name):.2f})" for name in (BARE, WHOLE)]
        cells = [f"{side}²", shown(each.seconds[DECODE]), shown(each.seconds[EMBED]), shown(each.bound), *stages]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def plot(wall: dict[int, Times], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.8), layout="constrained")
    axes = figure.subplots()
    series = {
        "bound of decode and embed": [1 / each.bound for each in wall.values()],
        BARE: [1 / each.seconds[BARE] for each in wall.values()],
        WHOLE: [1 / each.seconds[WHOLE] for each in wall.values()],
    }
    for n, (name, values) in enumerate(series.items()):
        places = [y + (n - 1) * 0.26 for y in range(len(wall))]
        bars = axes.barh(places, values, 0.24, label=name, color=("#b8bec7", "#f0a679", "#c2410c")[n])
        axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_yticks(range(len(wall)), [f"{side}² JPEG" for side in wall])
    axes.invert_yaxis()
    axes.set_xlabel("photos a second")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
