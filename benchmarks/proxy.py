"""The proxy beside the bare service: requests a second and latency for 1, 8 and 64 clients.

Two services of uvicorn: one answers at once, so all time is that of HTTP; the other after 10 ms, as a model does.
Clients keep their connections, and ask again as soon as they are answered. Both ways take turns, and the best turn of
each counts: the one that other work on the machine disturbed least. Writes docs/benchmarks/proxy.md.

    python benchmarks/proxy.py [--turns 7] [--seconds 1]
"""

import json
import subprocess
import sys
import tempfile
import time
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
request ([why](../decisions/proxy.md)). Clients keep their connections. Best of {turns} turns of {seconds:g} s each.
{machine}, which service, proxy and clients share.

| service answers | clients | | requests/s | p50 ms | p99 ms | ratio |
|---|---:|---|---:|---:|---:|---:|
"""


@click.command(help=__doc__)
@click.option("--turns", default=7, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Of each turn.")
@click.option("--page", type=click.Path(path_type=Path), default=HERE.parent / "docs" / "benchmarks" / "proxy.md")
def main(turns: int, seconds: float, page: Path) -> None:
    rows: list[str] = []
    for name, milliseconds in SERVICES.items():
        with running(milliseconds) as (bare, proxy):
            for clients in CLIENTS:
                rows += measure(name, clients, turns, seconds, bare, proxy)
                print(rows[-2] + rows[-1], end="", flush=True)
    end = "\n`python benchmarks/proxy.py` writes this page.\n"
    page.write_text(HEAD.format(turns=turns, seconds=seconds, machine=describe()) + "".join(rows) + end)


def measure(name: str, clients: int, turns: int, seconds: float, bare: int, proxy: int) -> list[str]:
    """Two rows of the table."""
    best: dict[str, dict[str, float]] = {}
    for _ in range(turns):
        for way, port, path in (("bare", bare, "/"), ("proxy", proxy, PATH)):
            found = ask(port, path, clients, seconds)
            if way not in best or found["rate"] > best[way]["rate"]:
                best[way] = found
    ratio = best["proxy"]["rate"] / best["bare"]["rate"]
    return [
        f"| {name} | {clients} | {way} | {one['rate']:,.0f} | {one['p50']:.2f} | {one['p99']:.2f} | {share} |\n"
        for way, share in (("bare", ""), ("proxy", f"{ratio:.2f}"))
        for one in (best[way],)
    ]


def ask(port: int, path: str, clients: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "measuring.proxy_job", "ask", str(port), path, str(clients), str(seconds)]
    return json.loads(subprocess.run(command, cwd=HERE, check=True, stdout=subprocess.PIPE).stdout)


@contextmanager
def running(milliseconds: float) -> Iterator[tuple[int, int]]:
    """The ports of a service and of a proxy before it."""
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
            yield bare, proxy
        finally:
            for each in processes:
                each.terminate()
                each.wait()


def is_answering(port: int) -> bool:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}{PATH}"):
        return True
    return False


if __name__ == "__main__":
    main()
