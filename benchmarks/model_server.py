"""The model server beside its engine's bare loop: rows a second for 1 and for 8 clients on the same machine.

Networks with random weights, which take the same time. The server runs as ``lykeion serve --model``; its clients, in
one process, send tensors as binary data and read binary data, each again as soon as it is answered. The bare loop
runs the same engine in as many threads and batches as the server measured to be fastest, without sockets. Both take
turns, and the best turn of each counts: the one that other work on the machine disturbed least. So does the turn with
the least processor time, of the server and its clients together, which other work disturbs less than it does rates.
Writes docs/benchmarks/model-server.md.

    python benchmarks/model_server.py [--turns 20] [--seconds 0.7]
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit
from urllib.request import urlopen

import click
from measuring.machine import describe
from measuring.subprocesses import keep_results, read_results, run_job

from lykeion.core import core_count
from lykeion.nets import LOGITS, find, random_weights, write_litert

ROOT = Path(__file__).parents[1]
NETWORKS = ("mobilenet-v2-1.0@224", "mobilenet-v2-0.5@96")
Turns: TypeAlias = list[list[dict[str, float]]]
LOADS = ((1, 1), (8, 1), (1, 16))
"""Clients, and rows of a request."""


@click.command(help=__doc__)
@click.option("--turns", default=20, show_default=True)
@click.option("--seconds", default=0.7, show_default=True, help="Of each turn.")
@click.option("--work", default=ROOT / "build" / "bench" / "model-server", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(turns: int, seconds: float, work: Path, out: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    results = read_results(work / "results.json")
    for network in NETWORKS:
        model = work / f"{network}.tflite"
        architecture = find(network)
        model.write_bytes(write_litert(architecture, random_weights(architecture), output=LOGITS))
        with serving(model, work / "home") as (pid, address):
            for clients, rows in LOADS:
                if (key := f"{network} {clients} {rows} {turns} {seconds:g}") in results:
                    continue
                job = {"model": str(model), "address": address, "name": "bench", "clients": clients, "rows": rows}
                job |= {"pid": pid, "turns": turns, "seconds": seconds, **bare_loop(address, clients * rows)}
                results[key] = {"engine": job["engine"], "turns": run_job("measuring.model_server_job", job)}
                results[key]["load"] = os.getloadavg()[1]
                keep_results(work / "results.json", results)
                print(f"{key}: {share(results[key]['turns']):.2f}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / "model-server.md").write_text("\n".join(report(results, turns, seconds)))


@contextmanager
def serving(model: Path, home: Path) -> Iterator[tuple[int, str]]:
    """``lykeion serve --model``; gives its process and host:port."""
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
            yield process.pid, urlsplit(line.split()[-1]).netloc
        finally:
            process.terminate()


def bare_loop(address: str, rows: int) -> dict[str, Any]:
    """What the server runs for so many rows at the same time: for one row one engine, which may have several threads,
    else an engine a core."""
    choice = json.loads(urlopen(f"http://{address}/v2/models/bench").read())["parameters"]
    if rows == 1:
        return {"engine": choice["engine"], "threads": choice["threads"], "lanes": 1, "batch": 1}
    return {"engine": choice["engine"], "threads": 1, "lanes": core_count(), "batch": choice["max_batch"]}


def best(turns: Turns, side: int) -> dict[str, float]:
    return max((turn[side] for turn in turns), key=lambda figures: figures["per_second"])


def cpu_ms(turns: Turns, side: int) -> float:
    return min(turn[side]["cpu_ms"] for turn in turns)


def share(turns: Turns) -> float:
    """What the server does of what the bare loop does."""
    return best(turns, 1)["per_second"] / best(turns, 0)["per_second"]


def other_work(results: dict[str, Any]) -> str:
    """What else the machine did: a load above that of our own threads."""
    load = max(found["load"] for found in results.values())
    if load < 2 * core_count():
        return ""
    return (
        f"The machine was busy with other work too (load {load:.0f} on {core_count()} cores), which disturbs rates "
        "more than processor times."
    )


def report(results: dict[str, Any], turns: int, seconds: float) -> Iterator[str]:
    yield "# The model server beside its engine's bare loop"
    yield ""
    yield (
        f"Networks with random weights, float32 photos as binary tensors, on loopback. {describe()}, clients "
        f"included. {turns} turns of {seconds:g} s each, in which the bare loop and the server alternate. "
        f"Rates and processor times are those of the best turn of each. {other_work(results)}"
    )
    yield ""
    yield (
        "| network | engine | clients | rows each | bare: rows/s | served: rows/s | share | p50, ms "
        "| bare: CPU ms a row | served: CPU ms a row | share |"
    )
    yield "|---" * 11 + "|"
    for network in NETWORKS:
        for clients, rows in LOADS:
            found = results[f"{network} {clients} {rows} {turns} {seconds:g}"]
            bare, served = (best(found["turns"], side) for side in (0, 1))
            rates = f"{bare['per_second']:,.0f} | {served['per_second']:,.0f} | {share(found['turns']):.2f}"
            used = [cpu_ms(found["turns"], side) for side in (0, 1)]
            times = f"{used[0]:.2f} | {used[1]:.2f} | {used[0] / used[1]:.2f}"
            name = f"{network} | {found['engine']} | {clients} | {rows}"
            yield f"| {name} | {rates} | {served['p50_ms']:.1f} | {times} |"
    yield ""
    yield "`python benchmarks/model_server.py` writes this page."
    yield ""


if __name__ == "__main__":
    main()
