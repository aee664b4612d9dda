"""Whether replicas are ready, and whether they are alive: each is asked periodically, as Kubernetes' probes do.

Liveness is checked once a replica has been ready; until then ``startup_seconds`` limits it, as a startup probe does.
https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.resources.plain_kinds import Liveness, Readiness, ReplicaGroupSpec, ReplicaProbe

FIRST_PAUSE_S = 0.05
"""Between the first checks of a replica that starts; it grows to the period."""


@dataclass(frozen=True)
class Checks:
    readiness: Readiness
    liveness: Liveness | None = None

    @classmethod
    def of(cls, spec: ReplicaGroupSpec) -> "Checks":
        return cls(spec.readiness, spec.liveness)


@dataclass
class _Probed:
    since: datetime
    checks: Checks
    ready: bool = False
    live: bool = True
    was_ready: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: tuple[asyncio.Task[None], ...] = ()


class ReplicaProbes:
    """``changed`` is called with the owner's uid when a replica becomes ready, is no longer, or has failed."""

    def __init__(self, now: Callable[[], datetime], changed: Callable[[str], None]) -> None:
        self._now, self._changed = now, changed
        self._probed: dict[str, dict[str, _Probed]] = {}

    def remember(self, uid: str, attempt: Attempt) -> None:
        """Take an attempt as ready until it is asked: it was, when an earlier platform ended."""
        probed = _Probed(self._now(), Checks(Readiness()), ready=True)
        probed.was_ready.set()
        self._probed.setdefault(uid, {})[attempt.name] = probed

    def watch(self, uid: str, attempts: Collection[Attempt], checks: Checks) -> None:
        """Check these attempts of an owner from now on, and no others."""
        probed, names = self._probed.setdefault(uid, {}), {each.name for each in attempts}
        for name in probed.keys() - names:
            _cancel(probed.pop(name))
        for attempt in attempts:
            each = probed.setdefault(attempt.name, _Probed(self._now(), checks))
            if not each.tasks or each.checks != checks:
                _cancel(each)
                each.checks = checks
                each.tasks = tuple(self._probes(uid, attempt.port, each))
        if not attempts:
            del self._probed[uid]

    def is_ready(self, uid: str, attempt: Attempt) -> bool:
        probed = self._probed.get(uid, {}).get(attempt.name)
        return probed is not None and probed.ready

    def is_live(self, uid: str, attempt: Attempt) -> bool:
        """False once its liveness checks have failed."""
        probed = self._probed.get(uid, {}).get(attempt.name)
        return probed is None or probed.live

    def starting_since(self, uid: str, attempt: Attempt) -> datetime | None:
        """When its checks began; None once it was ready."""
        probed = self._probed.get(uid, {}).get(attempt.name)
        return attempt.started if probed is None else None if probed.was_ready.is_set() else probed.since

    def _probes(self, uid: str, port: int, probed: _Probed) -> Iterator[asyncio.Task[None]]:
        yield asyncio.create_task(self._probe_readiness(uid, port, probed, probed.checks.readiness))
        if liveness := probed.checks.liveness:
            yield asyncio.create_task(self._probe_liveness(uid, port, probed, liveness))

    async def _probe_readiness(self, uid: str, port: int, probed: _Probed, readiness: Readiness) -> None:
        failures, pause_s = 0, FIRST_PAUSE_S
        while True:
            answered = await is_answering(port, readiness)
            failures = 0 if answered else failures + 1
            ready = answered or (probed.ready and failures < readiness.failure_threshold)
            if ready != probed.ready:
                probed.ready = ready
                probed.was_ready.set()
                self._changed(uid)
            starting = not probed.was_ready.is_set()
            pause_s = min(readiness.period_seconds, pause_s * 1.5) if starting else readiness.period_seconds
            await asyncio.sleep(pause_s)

    async def _probe_liveness(self, uid: str, port: int, probed: _Probed, liveness: Liveness) -> None:
        """Begins when the replica has been ready, and ends when it is to be restarted."""
        await probed.was_ready.wait()
        failures = 0
        while failures < liveness.failure_threshold:
            await asyncio.sleep(liveness.period_seconds)
            failures = 0 if await is_answering(port, liveness) else failures + 1
        probed.live = False
        self._changed(uid)


async def is_answering(port: int, probe: ReplicaProbe) -> bool:
    """Whether a program accepts connections on this machine's port, and answers the path if one is given."""
    answered = _answers(port, probe.path) if probe.path else _accepts(port)
    return await _in_time(answered, probe.timeout_seconds)


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
    for task in probed.tasks:
        task.cancel()
