"""What a gateway holds and how fast it acknowledges: 10,000 devices in one process; picows alone, and mosquitto.

Devices run in processes of their own on the same machine, so rates are of a machine that does both; only the ratios
of one run compare. Writes docs/benchmarks/gateway.md. Fails if a device is lost, or anything that was acknowledged.

    python benchmarks/gateway.py [--devices 10000]
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import click
from measuring.machine import describe

from lykeion.delivery import init
from lykeion.delivery.device_service import FleetStore, open_fleet
from lykeion.delivery.device_sessions import add_broadcast
from lykeion.delivery.simulation import Swarm, SwarmReport, check_store, make_devices, run_swarm

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "benchmarks" / "gateway.md"
JOB = ROOT / "benchmarks" / "measuring" / "gateway_job.py"
ECHO_CONNECTIONS, WINDOW, ECHO_S = 100, 16, 4.0
PASSES = 2
BROADCASTS = 5
BARE = """
import asyncio, sys
from picows import WSListener, WSMsgType, ws_create_server
class Echo(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.BINARY: transport.send(WSMsgType.BINARY, frame.get_payload_as_bytes())
async def main():
    server = await ws_create_server(lambda request: Echo(), "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True); await server.serve_forever()
asyncio.run(main())
"""


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


def gateway(home: Path, fleet: Path, port: int) -> list[str]:
    code = "from lykeion.cli import main; main()"
    options = ["--repository", str(home), "--fleet", str(fleet), "--port", str(port), "--connects", "100000"]
    return [sys.executable, "-c", code, "gateway", *options]


def memory_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def echo_rate(kind: str, port: int, credentials: Path | None = None) -> float:
    words = [sys.executable, str(JOB), kind, str(port), str(ECHO_S), str(ECHO_CONNECTIONS), str(WINDOW)]
    ended = subprocess.run([*words, *([str(credentials)] if credentials else [])], capture_output=True, text=True)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    return float(ended.stdout)


def echo_rates(home: Path, work: Path, store: FleetStore) -> dict[str, list[float]]:
    """Passes follow one another, so that each meets the same other load."""
    credentials = work / "credentials.json"
    rates: dict[str, list[float]] = {}
    for _ in range(PASSES):
        made = make_devices(store, ECHO_CONNECTIONS, time.time())
        credentials.write_text(json.dumps([each.credential for each in made]))
        with running([sys.executable, "-c", BARE, str(port := free_port())]):
            rates.setdefault("picows alone, nothing stored", []).append(echo_rate("picows", port))
        with running(gateway(home, work / "fleet", port := free_port())):
            rates.setdefault("the gateway, stored before it is acknowledged", []).append(
                echo_rate("gateway", port, credentials)
            )
        if which("mosquitto"):
            port = free_port()
            config = work / "mosquitto.conf"
            (work / "mosquitto").mkdir(exist_ok=True)
            config.write_text(
                f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\nuser root\nlog_dest none\n"
                f"persistence_location {work}/mosquitto/\nautosave_interval 1\nmax_inflight_messages 64\n"
            )
            with running(["mosquitto", "-c", str(config)], ready=False):
                rates.setdefault("mosquitto, QoS 1, written each second", []).append(echo_rate("mosquitto", port))
    return rates


def crowd(home: Path, work: Path, store: FleetStore, devices: int) -> tuple[SwarmReport, dict[str, str], list[str]]:
    """All connect, hear broadcasts, lose the gateway by kill -9, and come back."""
    fleet, port = work / "fleet", free_port()
    identities = make_devices(store, devices, time.time())
    shown: dict[str, str] = {}
    opens = [0]
    began = time.monotonic()
    reached: list[float] = []

    def progress(more: int) -> None:
        opens[0] += more
        if opens[0] >= devices and not reached:
            reached.append(time.monotonic() - began)

    command = gateway(home, fleet, port)
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


def _part(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(len(values) * part))] if values else float("nan")


def _until(done: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not done():  # type: ignore[operator]
        time.sleep(0.2)


@click.command()
@click.option("--devices", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(devices: int, out: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        os.environ["LYKEION_HOME"] = str(work / "home")
        init(work / "tuf")
        store = open_fleet(work / "fleet")
        rates = echo_rates(work / "tuf", work, store)
        report, shown, problems = crowd(work / "tuf", work, store, devices)
        store.close()
    page = _page(devices, rates, report, shown, problems)
    out.write_text(page)
    sys.stdout.write(page)
    if problems or report.counts["welcomes"] < 2 * devices:
        raise SystemExit(f"{len(problems)} problems: {problems[:3]}; {report.counts['welcomes']} welcomes")


def _page(
    devices: int, rates: dict[str, list[float]], report: SwarmReport, shown: dict[str, str], problems: list[str]
) -> str:
    bare = sorted(next(iter(rates.values())))[PASSES // 2]
    lines = [
        "# The gateway beside its library and a broker",
        "",
        f"{describe()}. `python benchmarks/gateway.py --devices {devices}` writes this page; devices run in two",
        "processes beside the gateway on the same cores, so only ratios of one run mean anything.",
        "",
        f"## {ECHO_CONNECTIONS} connections, {WINDOW} messages of 256 bytes under way on each",
        "",
        f"| server | times picows alone, median of {PASSES} | each pass |",
        "|---|---:|---:|",
    ]
    for name, values in rates.items():
        each = ", ".join(f"{value / bare:.2f}" for value in values)
        lines.append(f"| {name} | {sorted(values)[len(values) // 2] / bare:.2f} | {each} |")
    lines += ["", f"## {devices:,} devices in one process", "", "| | |", "|---|---:|"]
    lines += [f"| {name} | {value} |" for name, value in shown.items()]
    told = f"Messages acknowledged: {report.counts['acknowledged']:,}"
    lines += ["", f"{told}; what the store lacks or has twice: {len(problems)}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
