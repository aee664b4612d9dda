"""What does a device download when a version changes? Deltas between networks that were trained here.

Three methods (zstd with the old file as its dictionary, differences under zstd, bsdiff) beside the package, zstd and
the plain file, for networks that changed a little, much, and in part. Writes docs/benchmarks/deltas.md.

    python benchmarks/deltas.py [--data DIR]
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import zstandard
from measuring.machine import describe

from lykeion.compress import pack_file
from lykeion.core import digest_bytes
from lykeion.delivery.targets.delta_files import SAVES, every_delta
from lykeion.nets import write_litert
from lykeion.nets.training import load_network

ROOT = Path(__file__).parents[1]
NETWORK = "mobilenet-v2-0.5@32"
STEPS = (150, 200)
HEAD = """# Deltas between versions of a network

{network} on Fashion-MNIST's sample, the first version trained for {first} steps, the second for {second}.
{machine}, load {load:.1f}. Sizes in kB; a delta is published if it saves {saves:.0%} of the package, which is
otherwise downloaded.

| second version | file | zstd -19 | package | patch-from | subtract | bsdiff | published | saves |
|---|---:|---:|---:|---:|---:|---:|---|---:|
{sizes}
Training all weights on, even at a third of the steps more, changes them so much that a delta of float32 is no smaller
than the package. What was frozen costs nothing.

CPU time to make, in seconds, and to apply, in milliseconds; peak memory beyond the two files, each in a process of
its own:

| second version | step | s to make | ms to apply | MiB |
|---|---|---:|---:|---:|
{times}
`python benchmarks/deltas.py` writes this page.
"""
APPLY = """
import json, sys, time
from pathlib import Path
from lykeion.device import apply_delta
from lykeion.engines.running import peak_bytes
from lykeion.litert.packed import unpack
import numpy, zstandard
method, base, delta, size, digest = sys.argv[1:]
base, delta = Path(base).read_bytes(), Path(delta).read_bytes()
Path("/proc/self/clear_refs").write_text("5")
before, began = peak_bytes(), time.process_time()
made = unpack(delta) if method == "package" else apply_delta(method, base, delta, size=int(size), digest=digest)
print(json.dumps([1e3 * (time.process_time() - began), (peak_bytes() - before) / 2**20]))
"""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), default=ROOT / "examples" / "fashion_mnist" / "sample")
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / "build" / "bench" / "deltas")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "deltas.md")
def main(data: Path, work: Path, page: Path) -> None:
    sizes, times = "", ""
    for name, (old, new) in pairs(data, work).items():
        row, rows = measured(name, old, new, work)
        sizes, times = sizes + row, times + rows
        print(row + rows, end="")
    text = HEAD.format(
        network=NETWORK,
        machine=describe(),
        load=os.getloadavg()[0],
        first=STEPS[0],
        second=STEPS[1],
        saves=SAVES,
        sizes=sizes,
        times=times,
    )
    page.write_text(text)


def pairs(data: Path, work: Path) -> dict[str, tuple[bytes, bytes]]:
    first, second = (trained(data, work, steps) for steps in STEPS)
    return {
        "float32, trained longer": (litert(first), litert(second)),
        "float32, only the classifier trained": (litert(first), litert(first, head_of=second)),
        "int8, trained longer": tuple(compressed(data, work, run, "quantize") for run in (first, second)),
        "16 values a layer, trained longer": tuple(compressed(data, work, run, "cluster") for run in (first, second)),
        "float32 to int8": (litert(first), compressed(data, work, second, "quantize")),
    }  # pyright: ignore[reportReturnType]


def trained(data: Path, work: Path, steps: int) -> Path:
    """With a constant learning rate, the longer training begins as the shorter one does."""
    run = work / f"steps-{steps}"
    lykeion("train", NETWORK, "--data", data, "--grey", "--run", run, "--steps", steps, "--schedule", "constant")
    return run


def litert(run: Path, head_of: Path | None = None) -> bytes:
    architecture, weights = load_network(run)
    if head_of is not None:
        other = load_network(head_of)[1]
        weights = {**weights, **{name: other[name] for name in weights if name.startswith("logits/")}}
    return write_litert(architecture, weights, output="logits")


def compressed(data: Path, work: Path, run: Path, method: str) -> bytes:
    recipe, made = work / f"{method}.yaml", work / f"{run.name}-{method}"
    step = {"quantize": "quantize: {}", "cluster": "cluster: {clusters: 16}"}[method]
    recipe.write_text(f"schema: lykeion.compression\nversion: 1\nsteps:\n  - {step}\n")
    lykeion("compress", "run", recipe, "--model", run, "--data", data, "--run", made)
    return (made / f"1-{method}" / "model.tflite").read_bytes()


def measured(name: str, old: bytes, new: bytes, work: Path) -> tuple[str, str]:
    """A row of sizes, and one of times for each way."""
    (work / "old").write_bytes(old)
    package, seconds = timed(lambda: pack_file(new))
    made = {"package": (package, seconds)}
    for method in ("zstd", "subtract", "bsdiff4"):
        content, seconds = timed(lambda method=method: every_delta(old, new, (method,))[method])
        made[method] = (content, seconds)
    best = min(("zstd", "subtract", "bsdiff4"), key=lambda method: len(made[method][0]))
    saved = 1 - len(made[best][0]) / len(package)
    cells = [len(new), len(zstandard.compress(new, 19)), *(len(content) for content, _ in made.values())]
    chosen = f"{best} | {saved:.0%}" if saved >= SAVES else f"none | {saved:.0%}"
    row = f"| {name} | {' | '.join(f'{cell / 1e3:,.1f}' for cell in cells)} | {chosen} |\n"
    rows = ""
    for way, (content, seconds) in made.items():
        milliseconds, mebibytes = applied(way, content, new, work)
        rows += f"| {name} | {way} | {seconds:.2f} | {milliseconds:.1f} | {mebibytes:.1f} |\n"
    return row, rows


def applied(way: str, content: bytes, new: bytes, work: Path) -> tuple[float, float]:
    (work / "delta").write_bytes(content)
    arguments = [way, work / "old", work / "delta", len(new), digest_bytes(new)]
    command = [sys.executable, "-c", APPLY, *map(str, arguments)]
    runs = [json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout) for _ in range(3)]
    return min(each[0] for each in runs), min(each[1] for each in runs)


def timed(work: Callable[[], bytes]) -> tuple[bytes, float]:
    began = time.process_time()
    return work(), time.process_time() - began


def lykeion(*words: Any) -> None:
    subprocess.run([sys.executable, "-c", "from lykeion.cli import main; main()", *map(str, words), "-q"], check=True)


if __name__ == "__main__":
    main()
