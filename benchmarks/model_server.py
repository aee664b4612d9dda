"""The model server beside its engine's bare loop: rows a second for 1 and for 8 clients on the same machine.

Networks with random weights, which take the same time. The server runs as ``lykeion serve --model``; its clients, in
one process, send tensors as binary data and read binary data, each again as soon as it is answered. The bare loop
runs the same engine in as many threads and batches as the server measured to be fastest, without sockets. Both take
turns, and the medians of all turns are compared. Writes docs/benchmarks/model-server.md.

    python benchmarks/model_server.py [--turns 7] [--seconds 3]
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from measuring.machine import describe
from measuring.subprocesses import keep_results, read_results, run_job

from lykeion.core import core_count
from lykeion.nets import LOGITS, find, random_weights, write_litert

ROOT = Path(__file__).parents[1]
NETWORKS = ("mobilenet-v2-1.0@224", "mobilenet-v2-0.5@96")
LOADS = ((1, 1), (8, 1), (1, 16))
"""Clients, and rows of a request."""
JOB = "measuring.model_server_job"


@click.command(help=__doc__)
@click.option("--turns", default=7, show_default=True)
@click.option("--seconds", default=3.0, show_default=True, help="Of each measurement.")
@click.option("--work", default=ROOT / "build" / "bench" / "model-server", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(turns: int, seconds: float, work: Path, out: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    results = read_results(work / "results.json")
    for network in NETWORKS:
        model = work / f"{network}.tflite"
        architecture = find(network)
        model.write_bytes(write_litert(architecture, random_weights(architecture), output=LOGITS))
        with serving(model, work / "home") as address:
            choice = remembered(work / "home")
            results[f"{network} choice"] = choice
            for turn in range(turns):
                for clients, rows in LOADS:
                    key = f"{network} {clients} {rows} {turn} {seconds:g}"
                    if key in results:
                        continue
                    bare = run_job(JOB, {"model": str(model), "seconds": seconds, **loop(choice, clients, rows)})
                    asked = {
                        "address": address,
                        "name": "bench",
                        "clients": clients,
                        "rows": rows,
                        "seconds": seconds,
                    }
                    served = run_job(JOB, asked)
                    results[key] = [bare, served]
                    keep_results(work / "results.json", results)
                    print(f"{key}: {served['per_second'] / bare['per_second']:.2f}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "model-server.md").write_text("\n".join(report(results, turns, seconds)))


@contextmanager
def serving(model: Path, home: Path) -> Iterator[str]:
    """``lykeion serve --model``; gives host:port."""
    command = [sys.executable, "-c", "from lykeion.cli import main; main()", "serve", "--model", str(model)]
    environment = {**os.environ, "LYKEION_HOME": str(home)}
    with subprocess.Popen(
        [*command, "--name", "bench", "--port", "0"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            if not line.startswith("Serving"):
                raise RuntimeError(line)
            yield urlsplit(line.split()[-1]).netloc
        finally:
            process.terminate()


def remembered(home: Path) -> dict[str, Any]:
    """The engine, threads and batch that the server has measured just now."""
    choices = (home / "cache" / "engine-choices").iterdir()
    return json.loads(max(choices, key=lambda path: path.stat().st_mtime).read_text())


def loop(choice: dict[str, Any], clients: int, rows: int) -> dict[str, Any]:
    """The bare loop that is the fastest for this load: one engine, which may have several threads, for one row at a
    time; else an engine a core."""
    if clients * rows == 1:
        return {"engine": choice["kind"], "threads": choice["threads"], "lanes": 1, "rows": 1}
    return {"engine": choice["kind"], "threads": 1, "lanes": core_count(), "rows": choice["together"]}


def report(results: dict[str, Any], turns: int, seconds: float) -> Iterator[str]:
    yield "# The model server beside its engine's bare loop"
    yield ""
    yield (
        f"Networks with random weights, float32 photos as binary tensors, on loopback. {describe()}, clients "
        f"included. Medians of {turns} turns of {seconds:g} s each, in which the bare loop and the server alternate."
    )
    yield ""
    yield "| network | engine | clients | rows a request | bare: rows/s | served: rows/s | p50, ms | p99, ms | share |"
    yield "|---" * 9 + "|"
    for network in NETWORKS:
        choice = results[f"{network} choice"]
        for clients, rows in LOADS:
            pairs = [results[f"{network} {clients} {rows} {turn} {seconds:g}"] for turn in range(turns)]
            bare, rate = (statistics.median(pair[side]["per_second"] for pair in pairs) for side in (0, 1))
            p50, p99 = (statistics.median(pair[1][name] for pair in pairs) for name in ("p50_ms", "p99_ms"))
            share = statistics.median(pair[1]["per_second"] / pair[0]["per_second"] for pair in pairs)
            yield (
                f"| {network} | {choice['kind']} | {clients} | {rows} | {bare:,.0f} | {rate:,.0f} | {p50:.1f} "
                f"| {p99:.1f} | {share:.2f} |"
            )
    yield ""
    yield "`python benchmarks/model_server.py` writes this page."
    yield ""


if __name__ == "__main__":
    main()
