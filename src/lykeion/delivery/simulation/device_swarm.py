"""Simulated devices in processes of their own. Each is told what to do on its standard input, and tells each second
how it is; what it has at the end is its last line."""

import asyncio
import json
import random
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from lykeion.core import Unavailable

from .simulated_device import SimulatedDevice, SwarmCounts
from .simulated_fleet import SimulatedIdentity


@dataclass(frozen=True)
class Swarm:
    """``connect_within_s``: all connect at random times within it. ``skew_s``: clocks are wrong by up to so much."""

    url: str
    identities: Sequence[SimulatedIdentity]
    seconds: float
    seed: int = 0
    processes: int = 1
    every_s: float = 10.0
    faults: float = 0.0
    skew_s: float = 0.0
    connect_within_s: float = 10.0
    most: int = 1_000


@dataclass
class SwarmReport:
    """``told`` is for ``check_store``."""

    counts: Counter[str] = field(default_factory=Counter[str])
    acknowledged_ms: list[float] = field(default_factory=list[float])
    broadcast_at: list[float] = field(default_factory=list[float])
    told: dict[str, tuple[int, int, int]] = field(default_factory=dict[str, tuple[int, int, int]])


class SwarmFailed(Unavailable):
    """A process that runs devices has ended, or no device could connect: then nothing was compared."""


def run_swarm(swarm: Swarm, progress: Callable[[int], object] = lambda open: None) -> SwarmReport:
    """``progress`` is told each second how many more are connected. Raises SwarmFailed."""
    parts = [swarm.identities[place :: swarm.processes] for place in range(swarm.processes)]
    started = [_start(swarm, place, part) for place, part in enumerate(parts)]
    opens, report, turn = [0] * len(started), SwarmReport(), threading.Lock()

    def listen(place: int, process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        for line in process.stdout:
            said = json.loads(line)
            if "open" in said:
                more, opens[place] = said["open"] - opens[place], said["open"]
                progress(more)
                continue
            with turn:
                report.counts.update(said["counts"])
                report.acknowledged_ms += said["acknowledged_ms"]
                report.broadcast_at += said["broadcast_at"]
                report.told.update({name: tuple(told) for name, told in said["told"].items()})

    threads = [threading.Thread(target=listen, args=each) for each in enumerate(started)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if len(report.told) < len(swarm.identities):
            raise SwarmFailed("a process of simulated devices has ended before its time; its error is above")
    finally:
        for process in started:
            process.kill()
            process.wait()
    if not report.counts["welcomes"]:
        why = next(
            (name for name, _ in report.counts.most_common() if name.startswith("failed")), "none tried in time"
        )
        raise SwarmFailed(
            f"no device could connect to {swarm.url} ({why}); is lykeion gateway there, with this fleet?"
        )
    return report


def _start(swarm: Swarm, place: int, part: Sequence[SimulatedIdentity]) -> "subprocess.Popen[str]":
    code = "from lykeion.delivery.simulation.device_swarm import serve_process; serve_process()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    plain = {name: value for name, value in vars(swarm).items() if name != "identities"}
    plain |= {"place": place, "identities": [[each.device, each.credential] for each in part]}
    assert process.stdin
    process.stdin.write(json.dumps(plain))
    process.stdin.close()
    return process


def serve_process() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft != resource.RLIM_INFINITY else soft, hard))
    asyncio.run(_swarm(json.load(sys.stdin)))


async def _swarm(told: dict[str, Any]) -> None:
    counts, stop = SwarmCounts(), asyncio.Event()
    devices = [
        _device(told, counts, place * told["processes"] + told["place"], *identity)
        for place, identity in enumerate(told["identities"])
    ]
    tasks = [asyncio.create_task(each.run(stop, told["connect_within_s"])) for each in devices]
    end = time.monotonic() + told["seconds"]
    while time.monotonic() < end:
        await asyncio.sleep(1)
        _say({"open": counts.open})
    stop.set()
    await asyncio.wait(tasks, timeout=60)
    for task in tasks:
        if task.done() and (error := task.exception()):
            raise error
    _say(
        {
            "counts": counts.counts,
            "acknowledged_ms": counts.acknowledged_ms,
            "broadcast_at": counts.broadcast_at,
            "told": {each.name: each.told for each in devices},
        }
    )


def _device(told: dict[str, Any], counts: SwarmCounts, number: int, name: str, credential: str) -> SimulatedDevice:
    chance = random.Random(f"{told['seed']} {number}")  # noqa: S311 - to be repeated
    return SimulatedDevice(
        name,
        credential,
        told["url"],
        chance,
        counts,
        every_s=told["every_s"],
        faults=told["faults"],
        skew_s=chance.uniform(-told["skew_s"], told["skew_s"]),
        most=told["most"],
    )


def _say(plain: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(plain) + "\n")
    sys.stdout.flush()
