"""One operator at a time: a Lease, taken and renewed as Kubernetes' own controllers do.

https://kubernetes.io/docs/concepts/architecture/leases/, and client-go's leaderelection: times of another machine's
clock are never compared with ours; a Lease has run out when it has not changed for its duration, as we observed it.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from lykeion.control import Exists, NoSuchResource, Outdated
from lykeion.core import LykeionError, Refused
from lykeion.platform.kubernetes.api import ClusterClient
from lykeion.platform.kubernetes.objects import LEASES, KubeObject, inside

_log = logging.getLogger("lykeion.kubernetes")


class LeaseLost(Refused):
    """Another process has the Lease, or it could not be renewed in time: this one must end."""


@dataclass(frozen=True)
class LeaseTimes:
    """``deadline_s``: who cannot renew for so long gives up, before others may take it after ``duration_s``."""

    duration_s: int = 15
    deadline_s: float = 10.0
    retry_s: float = 2.0

    def pause_s(self) -> float:
        """With jitter, so that processes that wait do not ask together."""
        return self.retry_s * random.uniform(0.8, 1.2)  # noqa: S311


def boot_time() -> float:
    """Seconds that also count while the machine sleeps, where the system has such a clock."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class LeaseElection:
    """``identity`` is unique to this process, not only to its pod: a container that starts again is another.

    ``holder`` has the Lease, as it was read last; ``holder_lives`` if it has renewed it since it was read first.
    """

    def __init__(
        self,
        client: ClusterClient,
        namespace: str,
        name: str,
        identity: str,
        times: LeaseTimes | None = None,
        now: Callable[[], float] = boot_time,
    ) -> None:
        self._client, self._identity, self._times, self._now = client, identity, times or LeaseTimes(), now
        self._namespace, self._name, self._what = namespace, name, f"lease/{name}"
        self._observed: tuple[str, float] = "", 0.0
        self.holder, self.holder_lives = "", False
        self._lasts_s = 0.0
        self._renewed: float | None = None
        self._kept: KubeObject | None = None
        """As it was written last: it is renewed without being read, unless another has written it."""

    @property
    def holds(self) -> bool:
        """Whether the Lease is ours for certain: asked before each write."""
        return self._renewed is not None and self._now() - self._renewed < self._times.deadline_s

    async def acquire(self) -> None:
        """Returns when the Lease is ours."""
        _log.info("%s waits for %s in %s", self._identity, self._what, self._namespace)
        while True:
            try:
                if await self._try():
                    _log.info("%s has %s", self._identity, self._what)
                    return
            except LykeionError as error:
                _log.warning("%s; asking again", error)
            await asyncio.sleep(min(self._times.pause_s(), self._runs_out_s()))

    async def keep(self) -> NoReturn:
        """Renew it for ever. Raises LeaseLost."""
        while True:
            await asyncio.sleep(self._times.pause_s())
            try:
                async with asyncio.timeout(self._left_s()):
                    kept = await self._try()
            except (LykeionError, TimeoutError) as error:
                _log.warning("%s was not renewed: %s", self._what, error or "no answer")
                kept = self.holds
            if not kept:
                self._renewed = None
                raise LeaseLost(f"{self._what} in {self._namespace} is lost")

    async def release(self) -> None:
        """Let the next one take it at once; nothing happens if that fails, since it runs out."""
        if not self.holds:
            return
        try:
            lease = await self._client.get(self._path(), self._what)
            if inside(lease, "spec").get("holderIdentity") == self._identity:
                await self._client.put(self._path(), self._what, self._taken(lease, holder="", duration_s=1))
        except LykeionError as error:
            _log.warning("%s was not released: %s", self._what, error)
        self._renewed = None

    def _left_s(self) -> float:
        assert self._renewed is not None
        return max(0.1, self._renewed + self._times.deadline_s - self._now())

    async def _try(self) -> bool:
        """Take the Lease or renew it. Returns whether it is ours. Raises what the client raises."""
        begun = self._now()
        lease = self._kept or await self._read()
        if lease and not self._may_take(lease):
            self._renewed = None
            return False
        try:
            if lease:
                self._kept = await self._client.put(self._path(), self._what, self._taken(lease))
            else:
                self._kept = await self._client.post(LEASES.path(self._namespace), self._what, self._new())
        except (Exists, Outdated, NoSuchResource):  # another has written it: what, the next reading says
            self._kept = None
            return self.holds
        self.holder = self._identity
        self._renewed = begun  # not when the answer came: others count from when the server wrote it, at the earliest
        return True

    async def _read(self) -> KubeObject | None:
        try:
            return await self._client.get(self._path(), self._what)
        except NoSuchResource:
            return None

    def _may_take(self, lease: KubeObject) -> bool:
        spec, version = inside(lease, "spec"), lease["metadata"]["resourceVersion"]
        holder = str(spec.get("holderIdentity") or "")
        if version != self._observed[0]:
            self.holder_lives = holder == self.holder
            self._observed = version, self._now()
        self.holder = holder
        self._lasts_s = float(spec.get("leaseDurationSeconds") or 0)
        ran_out = self._now() - self._observed[1] > self._lasts_s
        return not holder or holder == self._identity or ran_out

    def _runs_out_s(self) -> float:
        """Until one that nobody renews may be taken; with jitter. As long as one likes, of one that may be."""
        left_s = self._observed[1] + self._lasts_s - self._now()
        return left_s + random.uniform(0.05, 0.2) if left_s > 0 else math.inf  # noqa: S311

    def _new(self) -> KubeObject:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(self._identity, self._times.duration_s)
            | {"acquireTime": _now(), "leaseTransitions": 0},
        }

    def _taken(self, lease: KubeObject, *, holder: str | None = None, duration_s: int | None = None) -> KubeObject:
        """The Lease that was read, with its version: of two that take it one succeeds."""
        spec = inside(lease, "spec")
        new = self._spec(self._identity if holder is None else holder, duration_s or self._times.duration_s)
        if holder is None and spec.get("holderIdentity") != self._identity:
            new |= {"acquireTime": _now(), "leaseTransitions": int(spec.get("leaseTransitions") or 0) + 1}
        return {**lease, "spec": {**spec, **new}}

    def _spec(self, holder: str, duration_s: int) -> KubeObject:
        return {"holderIdentity": holder, "leaseDurationSeconds": duration_s, "renewTime": _now()}

    def _path(self) -> str:
        return LEASES.path(self._namespace, self._name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
