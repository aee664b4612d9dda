"""How long calls take, one after another or from several clients at once."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np


def timed(calls: Sequence[Callable[[], Any]]) -> dict[str, float]:
    """Milliseconds at the 50th and 99th percentile, and calls a second."""
    started = time.perf_counter()
    seconds = [_seconds(call) for call in calls]
    return percentiles(seconds, time.perf_counter() - started)


def timed_together(clients: Sequence[Sequence[Callable[[], Any]]]) -> dict[str, float]:
    """The same for clients that each make their calls one after another, all at the same time."""
    started = time.perf_counter()
    with ThreadPoolExecutor(len(clients)) as pool:
        seconds = [second for mine in pool.map(lambda calls: [*map(_seconds, calls)], clients) for second in mine]
    return percentiles(seconds, time.perf_counter() - started)


def percentiles(seconds: Sequence[float], total: float) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
    return {"p50_ms": float(p50), "p99_ms": float(p99), "per_second": len(seconds) / total}


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
