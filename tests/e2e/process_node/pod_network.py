"""A pod's network namespace, with one end of a pair in it and the other on the cluster's bridge."""

import asyncio
import ipaddress
import signal
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

ADDRESSES = 4000


@dataclass
class AddressPool:
    """The addresses of a node's pods: the ``number``-th part of the bridge's. One given back is taken last."""

    bridge: str
    machine: str
    number: int
    free: deque[str] = field(init=False)

    def __post_init__(self) -> None:
        first = int(ipaddress.ip_address(self.machine)) - 1 + 4096 * (self.number + 1)
        assert self.number < 14, "a cluster has at most 14 nodes"
        self.free = deque(str(ipaddress.ip_address(first + n)) for n in range(1, ADDRESSES))


class PodNetwork:
    """``address`` is "" until made. With ``host`` the pod is in the machine's own."""

    def __init__(self, pool: AddressPool, *, host: bool) -> None:
        self.pool, self.host = pool, host
        self.address = ""
        self._pause: asyncio.subprocess.Process | None = None
        self._making: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """A process in the namespace."""
        return self._pause.pid if self._pause else None

    async def make(self) -> None:
        """Who is cancelled meanwhile leaves what ``remove`` removes."""
        self._making = asyncio.create_task(self._make())
        await asyncio.shield(self._making)

    async def _make(self) -> None:
        if self.host:
            self.address = self.pool.machine
            return
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sh", "-c", "echo made; exec sleep infinity"]
        pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self._pause = await asyncio.create_subprocess_exec(*command, stdin=null, stdout=pipe)
        assert self._pause.stdout
        assert await self._pause.stdout.readline() == b"made\n"
        address = self.pool.free.popleft()
        outside = f"p{int(ipaddress.ip_address(address)):08x}"
        await _ip(
            f"link add {outside} type veth peer name eth0 netns {self.pid}",
            f"link set {outside} master {self.pool.bridge} up",
        )
        await _ip(
            "link set lo up",
            f"addr add {address}/16 dev eth0",
            "link set eth0 up",
            f"route add default via {self.pool.machine}",
            within=self.pid,
        )
        self.address = address

    async def remove(self) -> None:
        if self._making:
            await asyncio.wait({self._making})
        if self._pause:
            with suppress(ProcessLookupError):
                self._pause.send_signal(signal.SIGKILL)
            await self._pause.wait()
            self._pause = None
            if self.address:
                self.pool.free.append(self.address)


async def _ip(*lines: str, within: int | None = None) -> None:
    enter = ["nsenter", f"--target={within}", "--net"] if within else []
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*enter, "ip", "-batch", "-", stdin=pipe, stderr=pipe)
    _, errors = await process.communicate("\n".join(lines).encode())
    assert process.returncode == 0, errors.decode()
