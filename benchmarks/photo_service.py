"""What HTTP costs a search by photo: `lykeion serve` beside as many threads of one process, on the same photos.

Photos of 640² are decoded, embedded and searched, by one thread a core in a process without HTTP, and by the service
for 1, 8 and 64 clients on the same machine. The processor time of each process is counted, without the clients'; the
passes are interleaved, and each figure is of the best. Then photos come at random moments, at half of what the
threads answered a second. Writes docs/benchmarks/photo-service.md.

    python benchmarks/photo_service.py [--requests 200] [--passes 5]
"""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import cold
import numpy as np
from ingest import write_photos
from measuring.latency import percentiles
from measuring.machine import describe
from measuring.query_job import K
from measuring.service import photo_request, serving_process
from measuring.subprocesses import run_job

from lykeion.core import core_count

ROOT = Path(__file__).parents[1]
CLIENTS = (1, 8, 64)
IN_PROCESS = "threads of one process"
GOAL = 0.95


@dataclass(frozen=True)
class Cost:
    """Of one photo: seconds by the clock, and of the processor."""

    clock: float
    processor: float


@click.command(help=__doc__)
@click.option("--rows", default=20_000, show_default=True, help="Rows of the index.")
@click.option("--requests", default=200, show_default=True, help="Photos in each pass.")
@click.option("--passes", default=5, show_default=True)
@click.option("--work", default=ROOT / "build" / "bench" / "cold", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(rows: int, requests: int, passes: int, work: Path, out: Path) -> None:
    index, photos = cold.build(work / f"{rows}.index", rows), work / "photos"
    if not photos.exists():
        write_photos(photos, 640, 40)
    contents = [path.read_bytes() for path in sorted(photos.glob("*.jpg"))]
    others = os.getloadavg()[0]
    job = {"index": str(index), "photos": str(photos), "threads": core_count(), "requests": requests}
    costs: dict[str, list[Cost]] = {name: [] for name in (IN_PROCESS, *map(of_clients, CLIENTS))}
    for _ in range(passes):
        costs[IN_PROCESS].append(Cost(**run_job("measuring.photos_job", job)))
        with serving_process(index) as (address, process):
            for clients in CLIENTS:
                costs[of_clients(clients)].append(ask_together(address, process, contents, clients, requests))
    best = {name: least(each) for name, each in costs.items()}
    with serving_process(index) as (address, _):
        half = ask_at_random(address, contents, 0.5 / best[IN_PROCESS].clock, requests)
    page = "\n".join(report(best, half, rows, f"{passes} passes of {requests} photos, load {others:.1f} before"))
    out.mkdir(parents=True, exist_ok=True)
    (out / "photo-service.md").write_text(page)
    print(page)


def of_clients(count: int) -> str:
    return f"the service, clients: {count}"


def ask_together(address: str, process: int, photos: list[bytes], clients: int, requests: int) -> Cost:
    """Each client has one connection, and asks again when it is answered."""
    waiting = iter(range(requests))
    lock = threading.Lock()

    def ask_all(ask: object) -> None:
        while True:
            with lock:
                number = next(waiting, None)
            if number is None:
                return
            ask(photos[number % len(photos)])  # pyright: ignore

    asking = [photo_request(address, K) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda ask: ask(photos[0]), asking))
        clock, processor = time.perf_counter(), processor_s(process)
        list(pool.map(ask_all, asking))
        return Cost((time.perf_counter() - clock) / requests, (processor_s(process) - processor) / requests)


def ask_at_random(address: str, photos: list[bytes], a_second: float, requests: int) -> dict[str, float]:
    """Milliseconds from the moment at which a photo came to its answers, at so many photos a second."""
    moments = np.random.default_rng(0).exponential(1 / a_second, requests).cumsum()
    local = threading.local()

    def ask(number: int) -> float:
        if not hasattr(local, "ask"):
            local.ask = photo_request(address, K)
        time.sleep(max(0.0, began + moments[number] - time.perf_counter()))
        local.ask(photos[number % len(photos)])
        return time.perf_counter() - began - moments[number]

    with ThreadPoolExecutor(32) as pool:
        began = time.perf_counter() + 1
        seconds = list(pool.map(ask, range(requests)))
    return percentiles(seconds, float(moments[-1]))


def processor_s(process: int) -> float:
    """Seconds that a process and its threads have used (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def least(costs: list[Cost]) -> Cost:
    return Cost(min(each.clock for each in costs), min(each.processor for each in costs))


def report(best: dict[str, Cost], half: dict[str, float], rows: int, passes: str) -> Iterator[str]:
    bound = best[IN_PROCESS]
    yield "# What HTTP costs a search by photo"
    yield ""
    yield (
        f"640² JPEGs, the default embedder on LiteRT, {rows:,} rows, k = {K}; best of {passes}; "
        f"{describe()}, clients included."
    )
    yield ""
    yield "| | processor time a photo, ms | share of the threads' | photos/s | share of the threads' |"
    yield "|---|---|---|---|---|"
    for name, cost in best.items():
        used = f"{1e3 * cost.processor:.2f} | {bound.processor / cost.processor:.2f}"
        yield f"| {name} | {used} | {1 / cost.clock:.1f} | {bound.clock / cost.clock:.2f} |"
    yield ""
    yield (
        "Photos a second include what the clients take of the same processor; processor time is the service's alone. "
        "Other work on the machine lengthens all times, processor time least. "
        f"Goal: {GOAL} at 8 and 64 clients."
    )
    yield ""
    yield (
        f"At half of the threads' rate, with photos at random moments: p50 {half['p50_ms']:.1f} ms, p99 "
        f"{half['p99_ms']:.1f} ms, {half['p99_ms'] / half['p50_ms']:.1f} times as long. Goal: 2."
    )
    yield ""
    yield "`python benchmarks/photo_service.py` writes this page."
    yield ""


if __name__ == "__main__":
    main()
