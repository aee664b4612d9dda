"""What a gateway holds and how fast it acknowledges, beside its library, aiohttp and a broker.

Devices run in processes of their own on the same machine, so rates are of a machine that does both; only the ratios
of one run compare. Each part is run once and kept in build/bench/gateway, so that a run goes on where another ended;
docs/benchmarks/gateway.md is written of the parts that there are. Fails if a device is lost, or anything that was
acknowledged.

    python benchmarks/gateway.py [--devices 10000] [--part echo ...] [--again]

| part | |
|---|---|
| echo | messages a second: picows alone, aiohttp alone, the gateway with and without a store, mosquitto |
| tls | picows and aiohttp alone, with TLS, so many connections: memory a connection, connects and messages a second |
| slow | acknowledgements beside a device that reads 1 B/s while it is sent much |
| crowd | all connect, hear broadcasts, lose the gateway by kill -9, and come back |
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import Any

import click
from measuring.gateway_report import ECHO_CONNECTIONS, PASSES, SLOW_DEVICES, WINDOW, gateway_page
from measuring.machine import describe
from measuring.slow_reader import SlowReader

from lykeion.core import write_atomically
from lykeion.delivery import init
from lykeion.delivery.device_service import FleetStore, open_fleet
from lykeion.delivery.device_sessions import add_broadcast
from lykeion.delivery.simulation import Swarm, SwarmReport, check_store, make_devices, run_swarm

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks" / "gateway.md"
KEPT = ROOT / "build" / "bench" / "gateway"
JOB = ROOT / "benchmarks" / "measuring" / "gateway_job.py"
SERVERS = ROOT / "benchmarks" / "measuring" / "bare_server.py"
ECHO_S = 4.0
BROADCASTS = 5
SLOW_S, SLOW_BYTES = 12.0, 60_000
UNSTORED = """
from lykeion.delivery.gateway import message_inbox
message_inbox.store_bundles = lambda now, bundles, at: [0] * len(bundles)
"""
"""For a gateway that acknowledges what it has read, checked and numbered, and stores nothing of it."""


@dataclass(frozen=True)
class Place:
    """Where a part works: a repository, a fleet and its store."""

    work: Path
    store: FleetStore

    def gateway(self, port: int, before: str = "") -> list[str]:
        code = f"{before}\nfrom lykeion.cli import main; main()"
        options = ["--repository", str(self.work / "tuf"), "--fleet", str(self.work / "fleet"), "--port", str(port)]
        return [sys.executable, "-c", code, "gateway", *options, "--connects", "100000"]


@contextmanager
def place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        os.environ["LYKEION_HOME"] = str(work / "home")
        init(work / "tuf")
        store = open_fleet(work / "fleet")
        yield Place(work, store)
        store.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def running(command: list[str], ready: bool = True) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
    try:
        if ready:
            assert process.stdout
            process.stdout.readline()
        else:
            time.sleep(2)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def job(
    kind: str, port: int, seconds: float, connections: int, window: int, server: int, credentials: str = ""
) -> dict[str, float]:
    words = [sys.executable, str(JOB), kind, *map(str, (port, seconds, connections, window, server)), credentials]
    ended = subprocess.run(words, capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    return json.loads(ended.stdout)


def echo(devices: int) -> dict[str, Any]:
    """Passes follow one another, so that each meets the same other load."""
    rates: dict[str, list[dict[str, float]]] = {}

    def measured(
        name: str, command: list[str], kind: str, port: int, credentials: str = "", ready: bool = True
    ) -> None:
        with running(command, ready) as server:
            found = job(kind, port, ECHO_S, ECHO_CONNECTIONS, WINDOW, server.pid, credentials)
        rates.setdefault(name, []).append(found)
        print(f"{name}: {found['messages']:,.0f} a second, {found['server_us']:.1f} µs of it", flush=True)

    with place() as here:
        for _ in range(PASSES):
            bare = [sys.executable, str(SERVERS)]
            measured("picows alone, nothing stored", [*bare, "picows", str(port := free_port())], "picows", port)
            measured("aiohttp alone, nothing stored", [*bare, "aiohttp", str(port := free_port())], "picows", port)
            for name, before in (
                ("the gateway, stored before it is acknowledged", ""),
                ("the gateway, acknowledged and not stored", UNSTORED),
            ):
                made = make_devices(here.store, ECHO_CONNECTIONS, time.time())
                credentials = here.work / "credentials.json"
                credentials.write_text(json.dumps([each.credential for each in made]))
                measured(name, here.gateway(port := free_port(), before), "gateway", port, str(credentials))
            if which("mosquitto"):
                config = here.work / "mosquitto.conf"
                (here.work / "mosquitto").mkdir(exist_ok=True)
                config.write_text(
                    f"listener {(port := free_port())} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                    f"user root\nlog_dest none\npersistence_location {here.work}/mosquitto/\n"
                    "autosave_interval 1\nmax_inflight_messages 64\n"
                )
                name = "mosquitto, QoS 1, written each second"
                measured(name, ["mosquitto", "-c", str(config)], "mosquitto", port, ready=False)
    return {"rates": rates}


def tls(devices: int) -> dict[str, Any]:
    """Servers that echo; each connection has one message of 256 bytes under way."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        files = [str(Path(directory) / name) for name in ("key.pem", "cert.pem")]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-keyout", files[0], "-out", files[1]],
            check=True, capture_output=True,
        )  # fmt: skip
        for name in ("picows", "aiohttp"):
            with running([sys.executable, str(SERVERS), name, str(port := free_port()), *files]) as process:
                empty = memory_bytes(process.pid)
                seen: list[int] = []
                watching = threading.Event()
                thread = threading.Thread(target=_watch_memory, args=(process.pid, watching, seen))
                thread.start()
                measured = job("picows-tls", port, 8.0, devices, 1, process.pid)
                watching.set()
                thread.join()
            found[name] = {
                "kb_a_connection": (max(seen) - empty) / measured["connections"] / 1e3,
                "connects": measured["connects"],
                "messages": measured["messages"],
                "connections": measured["connections"],
            }
            print(name, found[name], flush=True)
    return found


def _watch_memory(pid: int, ended: threading.Event, seen: list[int]) -> None:
    while not ended.wait(1.0):
        seen.append(memory_bytes(pid))


def slow(devices: int) -> dict[str, Any]:
    """Acknowledgements of the others, in turns without and with a device that reads 1 B/s."""
    found: dict[str, list[list[float]]] = {"without": [], "with": []}
    with place() as here, running(here.gateway(port := free_port())):
        identities = make_devices(here.store, SLOW_DEVICES, time.time())
        for number in range(2 * PASSES):
            name = "with" if number % 2 else "without"
            swarm = Swarm(f"http://127.0.0.1:{port}", identities, SLOW_S, number, 1, 0.2, connect_within_s=1.0)
            (reader,) = make_devices(here.store, 1, time.time())
            with SlowReader(port, reader.credential if number % 2 else "") as slow_reader:
                filling = threading.Thread(target=_fill, args=(here.store,))
                filling.start()
                report = run_swarm(swarm)
                filling.join()
            times = sorted(report.acknowledged_ms)
            found[name].append([_part(times, 0.5), _part(times, 0.99)])
            print(f"{name} a slow reader: {found[name][-1]} ms, it has read {slow_reader.taken} bytes", flush=True)
    return found


def _fill(store: FleetStore) -> None:
    """Broadcasts, of which a device that reads slowly takes nothing."""
    for _ in range(int(SLOW_S) - 2):
        with store.transaction() as now:
            add_broadcast(now, "all", "x" * SLOW_BYTES, time.time(), "benchmark")
        time.sleep(1)


def crowd(devices: int) -> dict[str, Any]:
    """All connect, hear broadcasts, lose the gateway by kill -9, and come back."""
    with place() as here:
        report, shown, problems = _crowd(here, devices)
    if problems or report.counts["welcomes"] < 2 * devices:
        raise SystemExit(f"{len(problems)} problems: {problems[:3]}; {report.counts['welcomes']} welcomes")
    return {"shown": shown, "acknowledged": report.counts["acknowledged"], "problems": len(problems)}


def _crowd(here: Place, devices: int) -> tuple[SwarmReport, dict[str, str], list[str]]:
    store, port = here.store, free_port()
    identities = make_devices(store, devices, time.time())
    came: list[tuple[float, int]] = []
    shown: dict[str, str] = {}
    opens = [0]
    began = time.monotonic()
    reached: list[float] = []

    def progress(more: int) -> None:
        opens[0] += more
        came.append((time.monotonic(), more))
        if opens[0] >= devices and not reached:
            reached.append(time.monotonic() - began)

    command = here.gateway(port)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    empty = memory_bytes(process.pid)
    swarm = Swarm(f"http://127.0.0.1:{port}", identities, 110.0, processes=2, every_s=30.0, connect_within_s=10.0)
    result: list[SwarmReport] = []
    thread = threading.Thread(target=lambda: result.append(run_swarm(swarm, progress)))
    began = time.monotonic()
    thread.start()
    _until(lambda: opens[0] >= devices, 60)
    shown["connected after, s (spread over 10 s)"] = f"{reached[0] if reached else float('nan'):.1f}"
    time.sleep(5)
    shown["memory of the gateway a device, KB"] = (
        f"{(memory_bytes(process.pid) - empty) / max(1, opens[0]) / 1e3:.1f}"
    )
    put: list[float] = []
    for number in range(BROADCASTS):
        with store.transaction() as now:
            put.append(time.time())
            add_broadcast(now, "all", {"number": number, "at": put[-1]}, put[-1], "benchmark")
        time.sleep(4)
    killed = time.monotonic()
    process.kill()
    process.wait()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    up = time.monotonic()
    _until(lambda: opens[0] < devices // 2, 20)
    _until(lambda: opens[0] >= devices, 60)
    shown["all back after kill -9, s"] = f"{time.monotonic() - killed:.1f}"
    shown["of which the gateway's start, s"] = f"{up - killed:.1f}"
    seconds = _by_second(came, up)
    shown["most that came back in a second"] = f"{max(seconds, default=0):,}"
    shown["most in a second after it was quiet (a tenth of that)"] = f"{_second_peak(seconds):,}"
    thread.join()
    process.terminate()
    process.wait(120)
    report = result[0]
    late = sorted(
        1e3 * (at - max(each for each in put if each <= at)) for at in report.broadcast_at if put and at >= put[0]
    )
    if late:
        shown["broadcast to each device, ms, p50 / p99"] = f"{_part(late, 0.5):,.0f} / {_part(late, 0.99):,.0f}"
    shown["broadcasts that arrived"] = f"{len(late):,} of {BROADCASTS * devices:,}"
    times = sorted(report.acknowledged_ms)
    shown["acknowledged after, ms, p50 / p99"] = f"{_part(times, 0.5):,.1f} / {_part(times, 0.99):,.1f}"
    return report, shown, list(check_store(store, report.told))


def _by_second(came: Sequence[tuple[float, int]], since: float) -> list[int]:
    """Devices that were connected in each second."""
    found = [0] * (1 + max((int(at - since) for at, _ in came), default=0))
    for at, more in came:
        if at >= since and more > 0:
            found[int(at - since)] += more
    return found


def _second_peak(seconds: Sequence[int]) -> int:
    if not seconds:
        return 0
    first = max(range(len(seconds)), key=seconds.__getitem__)
    quiet = next((place for place in range(first, len(seconds)) if seconds[place] <= seconds[first] / 10), None)
    return max(seconds[quiet:], default=0) if quiet is not None else 0


def _part(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


def _until(done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():
        time.sleep(0.2)


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {"echo": echo, "tls": tls, "slow": slow, "crowd": crowd}


@click.command()
@click.option("--devices", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--part", "parts", multiple=True, type=click.Choice(list(PARTS)), help="By default all.")
@click.option("--again", is_flag=True, help="Also those that were run.")
@click.option("--out", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(devices: int, parts: Sequence[str], again: bool, out: Path) -> None:
    found: dict[str, Any] = {}
    for name, run in PARTS.items():
        kept = KEPT / f"{name}-{devices}.json"
        if (again or not kept.exists()) and (not parts or name in parts):
            document = {"machine": describe(), "load": os.getloadavg()[0], **run(devices)}
            write_atomically(kept, json.dumps(document).encode())
        if kept.exists():
            found[name] = json.loads(kept.read_bytes())
    page = gateway_page(devices, found)
    out.write_text(page)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
