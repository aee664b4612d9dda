"""Photos a second of the whole ``index add``, against the bound that its stages set on the same cores.

Decoding (with reading and resizing) and embedding are measured alone, each on all cores; photos that go through both
on those cores can come at 1 / (1/decode + 1/embed) a second at most. Stages and whole runs are interleaved, and each
figure is the median of its rounds. Writes docs/benchmarks/ingest.md and .png.

    python benchmarks/ingest.py [--photos 400] [--rounds 3]
"""

import io
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np
from PIL import Image

from lykeion.search.embedder import Embedder
from lykeion.search.ingest import add
from lykeion.search.ingest.workers import cores
from lykeion.vision import decode

ROOT = Path(__file__).parents[1]
SIDES = (640, 1000)
COLUMNS = ("decode", "embed", "bound", "index add, no thumbnails", "index add")


@click.command(help=__doc__)
@click.option("--photos", default=400, show_default=True, help="Photos of each size.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(photos: int, rounds: int, out: Path) -> None:
    embedder = Embedder.load()
    rates: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for side in SIDES:
            folder = Path(temporary) / str(side)
            size = write_photos(folder, side, photos)
            print(f"{side}²: {photos} JPEGs of {size / 1024:.0f} KiB")
            rates[side] = measure(folder, embedder, rounds)
            print("  " + ", ".join(f"{name} {rate:.1f}/s" for name, rate in rates[side].items()))
            print(f"  index add / bound = {rates[side]['index add'] / rates[side]['bound']:.3f}")
    out.mkdir(parents=True, exist_ok=True)
    (out / "ingest.md").write_text(report(rates, embedder, photos, rounds))
    plot(rates, out / "ingest.png")


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


def measure(folder: Path, embedder: Embedder, rounds: int) -> dict[str, float]:
    paths = sorted(folder.iterdir())
    card = embedder.card

    def decoded(path: Path) -> np.ndarray:
        return decode(path.read_bytes(), name=path.name, at_least=card.at_least).pixels(card)

    pixels = [decoded(path)[np.newaxis] for path in paths[:64]]
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, stage in {
            "decode": lambda: on_all_cores(decoded, paths),
            "embed": lambda: on_all_cores(embedder.embed, [pixels[n % len(pixels)] for n in range(len(paths))]),
            "index add, no thumbnails": lambda: whole(folder, embedder, thumbnails=False),
            "index add": lambda: whole(folder, embedder, thumbnails=True),
        }.items():
            started = time.perf_counter()
            stage()
            seconds.setdefault(name, []).append(time.perf_counter() - started)
    rates = {name: len(paths) / statistics.median(values) for name, values in seconds.items()}
    rates["bound"] = 1 / (1 / rates["decode"] + 1 / rates["embed"])
    return {name: rates[name] for name in COLUMNS}


def on_all_cores(act: Callable, items: Sequence) -> None:
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(act, items):
            pass


def whole(folder: Path, embedder: Embedder, *, thumbnails: bool) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        done = add(folder, Path(temporary) / "index", embedder=embedder, thumbnails=thumbnails, quiet=True)
    assert not done.failed


def report(rates: dict[int, dict[str, float]], embedder: Embedder, photos: int, rounds: int) -> str:
    lines = [
        "# Ingest: the whole of `index add` against its bound",
        "",
        f"{embedder.name}, {photos} JPEGs of each size, medians of {rounds} interleaved rounds, "
        f"{cores()} cores of {processor()}. Photos a second; the bound is 1 / (1/decode + 1/embed).",
        "",
        "| photos | " + " | ".join(COLUMNS) + " | index add / bound |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for side, rate in rates.items():
        figures = " | ".join(f"{rate[name]:.1f}" for name in COLUMNS)
        lines.append(f"| {side}² | {figures} | **{rate['index add'] / rate['bound']:.2f}** |")
    lines += ["", "![](ingest.png)", "", "`python benchmarks/ingest.py` writes this page.", ""]
    return "\n".join(lines)


def processor() -> str:
    described = Path("/proc/cpuinfo")
    for line in described.read_text().splitlines() if described.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def plot(rates: dict[int, dict[str, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    names = COLUMNS[2:]
    for n, name in enumerate(names):
        places = [y + (n - 1) * 0.26 for y in range(len(rates))]
        values = [rate[name] for rate in rates.values()]
        bars = axes.barh(places, values, 0.24, label=name, color=("#b8bec7", "#f0a679", "#c2410c")[n])
        axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.set_yticks(range(len(rates)), [f"{side}² JPEG" for side in rates])
    axes.invert_yaxis()
    axes.set_xlabel("photos a second")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
