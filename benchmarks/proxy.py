"""The proxy beside the bare service: requests a second and latency for 1, 8 and 64 clients.

Two services of uvicorn: one answers at once, so all time is that of HTTP; the other after 10 ms, as a model does.
Clients keep their connections, and ask again as soon as they are answered. Both ways take turns, and the best turn of
each counts: the one that other work on the machine disturbed least. Processor time, of the service and the proxy
together, is hardly disturbed: that of all turns counts. Writes docs/benchmarks/proxy.md.

    python benchmarks/proxy.py [--turns 7] [--seconds 1]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import click
from measuring.machine import describe

from lykeion.platform.local.processes.free_port import free_port
from lykeion.platform.local.proxy.proxy_settings import ROUTES, ProxySettings
from lykeion.platform.local.proxy.route_table import RoutedGroup, RoutedService, RouteTable, ServingReplica

HERE = Path(__file__).parent
PATH = "/services/bench/bench/"
CLIENTS = (1, 8, 64)
SERVICES = {"at once": 0, "after 10 ms": 10}
HEAD = """# The proxy beside the bare service

A service of uvicorn in one process, asked directly and through the proxy, which opens a connection to it for each
request ([why](../decisions/proxy.md)). Clients keep their connections. Best of {turns} turns of {seconds:g} s each;
processor time is that of the service and the proxy, in all turns. {machine}, which service, proxy and clients share.

| service answers | clients | | requests/s | p50 ms | p99 ms | ratio | processor µs/request |
|---|---:|---|---:|---:|---:|---:|---:|
"""


@click.command(help=__doc__)
@click.option("--turns", default=7, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Of each turn.")
@click.option("--page", type=click.Path(path_type=Path), default=HERE.parent / "docs" / "benchmarks" / "proxy.md")
def main(turns: int, seconds: float, page: Path) -> None:
    rows: list[str] = []
    for name, milliseconds in SERVICES.items():
        with running(milliseconds) as asked:
            for clients in CLIENTS:
                rows += measure(name, clients, turns, seconds, *asked)
                print(rows[-2] + rows[-1], end="", flush=True)
    end = "\n`python benchmarks/proxy.py` writes this page.\n"
    page.write_text(HEAD.format(turns=turns, seconds=seconds, machine=describe()) + "".join(rows) + end)


def measure(name: str, clients: int, turns: int, seconds: float, bare: int, proxy: int, pids: list[int]) -> list[str]:
    """Two rows of the table. ``bare`` and ``proxy`` are ports, ``pids`` the processes behind them."""
    best: dict[str, dict[str, float]] = {}
    processor_s, requests = defaultdict[str, float](float), Counter[str]()
    for _ in range(turns):
        for way, port, path in (("bare", bare, "/"), ("proxy", proxy, PATH)):
            before = used_s(pids)
            found = ask(port, path, clients, seconds)
            processor_s[way] += used_s(pids) - before
            requests[way] += round(found["rate"] * seconds)
            if way not in best or found["rate"] > best[way]["rate"]:
                best[way] = found
    ratio = best["proxy"]["rate"] / best["bare"]["rate"]
    return [
        f"| {name} | {clients} | {way} | {one['rate']:,.0f} | {one['p50']:.2f} | {one['p99']:.2f} | {share} | "
        f"{1e6 * processor_s[way] / requests[way]:.0f} |\n"
        for way, share in (("bare", ""), ("proxy", f"{ratio:.2f}"))
        for one in (best[way],)
    ]


def ask(port: int, path: str, clients: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "measuring.proxy_job", "ask", str(port), path, str(clients), str(seconds)]
    return json.loads(subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE).stdout)


@contextmanager
def running(milliseconds: float) -> Iterator[tuple[int, int, list[int]]]:
    """The ports of a service and of a proxy before it, and their processes."""
    with tempfile.TemporaryDirectory() as directory:
        bare, proxy, place = free_port(()), free_port(()), Path(directory)
        ProxySettings(proxy).write(place)
        group = RoutedGroup("bench", 1, (ServingReplica("bench/0-0", bare),))
        RouteTable(1, (RoutedService("bench", "bench", "bench", (group,)),)).write(place / ROUTES)
        serve = ["measuring.proxy_job", "serve", str(bare), str(milliseconds)]
        processes = [
            subprocess.Popen([sys.executable, "-m", *command], cwd=HERE)
            for command in (serve, ["lykeion.platform.local.proxy", directory])
        ]
        try:
            while not is_answering(proxy):
                time.sleep(0.1)
            yield bare, proxy, [each.pid for each in processes]
        finally:
            for each in processes:
                each.terminate()
                each.wait()


def used_s(pids: list[int]) -> float:
    """The processor time of processes so far."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(each[11]) + int(each[12]) for each in stats) / os.sysconf("SC_CLK_TCK")


def is_answering(port: int) -> bool:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}{PATH}"):
        return True
    return False


if __name__ == "__main__":
    main()
