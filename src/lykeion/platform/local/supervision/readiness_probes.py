"""Whether replicas are ready: each is asked periodically, as Kubernetes' readiness probes do.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.resources.replica_group import Readiness

FIRST_PAUSE_S = 0.05
"""Between the first checks of a replica that starts; it grows to the period."""


@dataclass
class _Probed:
    since: datetime
    ready: bool
    was_ready: bool
    readiness: Readiness
    task: asyncio.Task[None] | None = None


class ReadinessProbes:
    """``changed`` is called with the owner's uid when a replica becomes ready or is no longer."""

    def __init__(self, now: Callable[[], datetime], changed: Callable[[str], None]) -> None:
        self._now, self._changed = now, changed
        self._probed: dict[str, dict[str, _Probed]] = {}

    def remember(self, uid: str, attempt: Attempt) -> None:
        """Take an attempt as ready until it is asked: it was, when an earlier platform ended."""
        self._probed.setdefault(uid, {})[attempt.name] = _Probed(self._now(), True, True, Readiness())

    def watch(self, uid: str, attempts: Collection[Attempt], readiness: Readiness) -> None:
        """Check these attempts of an owner from now on, and no others."""
        probed, names = self._probed.setdefault(uid, {}), {each.name for each in attempts}
        for name in probed.keys() - names:
            _cancel(probed.pop(name))
        for attempt in attempts:
            each = probed.setdefault(attempt.name, _Probed(self._now(), False, False, readiness))
            if each.task is None or each.readiness != readiness:
                _cancel(each)
                each.readiness = readiness
                each.task = asyncio.create_task(self._probe(uid, attempt.port, each))
        if not attempts:
            del self._probed[uid]

    def is_ready(self, uid: str, attempt: Attempt) -> bool:
        probed = self._probed.get(uid, {}).get(attempt.name)
        return probed is not None and probed.ready

    def starting_since(self, uid: str, attempt: Attempt) -> datetime | None:
        """When its checks began; None once it was ready."""
        probed = self._probed.get(uid, {}).get(attempt.name)
        return attempt.started if probed is None else None if probed.was_ready else probed.since

    async def _probe(self, uid: str, port: int, probed: _Probed) -> None:
        readiness, failures, pause_s = probed.readiness, 0, FIRST_PAUSE_S
        while True:
            answered = await is_answering(port, readiness)
            failures = 0 if answered else failures + 1
            ready = answered or (probed.ready and failures < readiness.failure_threshold)
            if ready != probed.ready:
                probed.ready, probed.was_ready = ready, probed.was_ready or ready
                self._changed(uid)
            pause_s = readiness.period_seconds if probed.was_ready else min(readiness.period_seconds, pause_s * 1.5)
            await asyncio.sleep(pause_s)


async def is_answering(port: int, readiness: Readiness) -> bool:
    """Whether a program accepts connections on this machine's port, and answers the path if one is given."""
    answered = _answers(port, readiness.path) if readiness.path else _accepts(port)
    return await _in_time(answered, readiness.timeout_seconds)


async def _in_time(check: Awaitable[bool], timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            return await check
    except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError):
        return False


async def _accepts(port: int) -> bool:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    return True


async def _answers(port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        version, _, rest = (await reader.readline()).partition(b" ")
        return version.startswith(b"HTTP/1.") and 200 <= int(rest[:3]) < 400
    finally:
        writer.transport.abort()


def _cancel(probed: _Probed) -> None:
    if probed.task:
        probed.task.cancel()
