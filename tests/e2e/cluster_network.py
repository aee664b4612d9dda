"""What kube-proxy and the cluster's name server do: ``python -m tests.e2e.cluster_network KUBECONFIG NAME_SERVER``.

A service's address and port lead each connection to one of its ready endpoints, at random; where there is none,
nothing listens. Names are those of https://github.com/kubernetes/dns/blob/master/docs/specification.md, for IPv4;
there are no others.
"""

import asyncio
import contextlib
import random
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .cluster_watch import WatchingApi

Object = dict[str, Any]
ZONE = ".svc.cluster.local"
_A, _NAME_ERROR, _TTL_S = 1, 3, 1


class Services:
    """What the server says of services and their endpoints."""

    def __init__(self) -> None:
        self.services: dict[tuple[str, str], Object] = {}
        self.slices: dict[str, Object] = {}
        self.changed = asyncio.Event()

    def service_changed(self, kind: str, it: Object) -> None:
        key = it["metadata"]["namespace"], it["metadata"]["name"]
        if kind == "DELETED":
            self.services.pop(key, None)
        else:
            self.services[key] = it
        self.changed.set()

    def slice_changed(self, kind: str, it: Object) -> None:
        if kind == "DELETED":
            self.slices.pop(it["metadata"]["uid"], None)
        else:
            self.slices[it["metadata"]["uid"]] = it
        self.changed.set()

    def slices_of(self, namespace: str, name: str) -> Iterator[Object]:
        for it in self.slices.values():
            metadata = it["metadata"]
            if metadata["namespace"] == namespace and metadata["labels"].get("kubernetes.io/service-name") == name:
                yield it

    def endpoints(self, namespace: str, name: str, port: str) -> list[tuple[str, int]]:
        """Address and port of each that is ready; where none is, of those that serve while they end."""
        for wanted in ("ready", "serving"):
            found = [
                (address, number["port"])
                for it in self.slices_of(namespace, name)
                for number in it.get("ports") or ()
                if number.get("name", "") == port
                for endpoint in it.get("endpoints") or ()
                if endpoint.get("conditions", {}).get(wanted, True)
                for address in endpoint["addresses"]
            ]
            if found:
                return found
        return []

    def listeners(self) -> Iterator[tuple[tuple[str, int], tuple[str, str, str]]]:
        """Address and port of each service that has endpoints, with its namespace, name and port's name."""
        for (namespace, name), service in self.services.items():
            address = service["spec"].get("clusterIP", "None")
            for port in service["spec"].get("ports", ()) if address != "None" else ():
                key = namespace, name, port.get("name", "")
                if port.get("protocol", "TCP") == "TCP" and self.endpoints(*key):
                    yield (address, port["port"]), key

    def resolve(self, name: str) -> list[str] | None:
        """Addresses of a name; None if there is none of that name."""
        labels = name.lower().removesuffix(".").removesuffix(ZONE).split(".") if name.lower().endswith(ZONE) else []
        if len(labels) not in (2, 3):
            return None
        host, (service_name, namespace) = (labels[0] if len(labels) == 3 else ""), labels[-2:]
        service = self.services.get((namespace, service_name))
        if not service:
            return None
        if service["spec"].get("clusterIP") != "None":
            return None if host else [service["spec"]["clusterIP"]]
        found = [
            address
            for it in self.slices_of(namespace, service_name)
            for endpoint in it.get("endpoints") or ()
            if endpoint.get("conditions", {}).get("ready", True) and host in ("", endpoint.get("hostname"))
            for address in endpoint["addresses"]
        ]
        return found or None


class Proxies:
    """A server for each listener."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.servers: dict[tuple[str, int], asyncio.Server] = {}
        self.keys: dict[tuple[str, int], tuple[str, str, str]] = {}

    async def run(self) -> None:
        while True:
            await self.services.changed.wait()
            self.services.changed.clear()
            self.keys = dict(self.services.listeners())
            for place in self.servers.keys() - self.keys.keys():
                self.servers.pop(place).close()
            for place in self.keys.keys() - self.servers.keys():
                self.servers[place] = await self._listen(place)

    async def _listen(self, place: tuple[str, int]) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.closing(writer), contextlib.suppress(OSError, KeyError, IndexError):
                there = await asyncio.open_connection(*random.choice(self.services.endpoints(*self.keys[place])))
                await _join((reader, writer), there)

        return await asyncio.start_server(serve, *place)


End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(here: End, there: End) -> None:
    with contextlib.closing(there[1]):
        await asyncio.gather(_copy(here[0], there[1]), _copy(there[0], here[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


class NameServer(asyncio.DatagramProtocol):
    """RFC 1035 as far as a resolver of the C library asks."""

    def __init__(self, services: Services) -> None:
        self.services = services

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(struct.error, IndexError, UnicodeDecodeError):
            self.transport.sendto(answer(data, self.services.resolve), addr)


def answer(query: bytes, resolve: Any) -> bytes:
    number, flags = struct.unpack_from(">HH", query)
    labels, place = [], 12
    while length := query[place]:
        labels.append(query[place + 1 : place + 1 + length].decode())
        place += 1 + length
    question = query[12 : place + 5]
    (kind,) = struct.unpack_from(">H", query, place + 1)
    found = resolve(".".join(labels))
    addresses: Iterable[str] = found if found and kind == _A else ()
    records = [struct.pack(">HHHIH", 0xC00C, _A, 1, _TTL_S, 4) + socket.inet_aton(it) for it in addresses]
    header = struct.pack(
        ">HHHHHH", number, 0x8480 | (flags & 0x100) | (_NAME_ERROR if found is None else 0), 1, len(records), 0, 0
    )
    return header + question + b"".join(records)


async def main(kubeconfig: Path, name_server: str) -> None:
    api, services = WatchingApi(kubeconfig), Services()
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: NameServer(services), local_addr=(name_server, 53))
    async with asyncio.TaskGroup() as group:
        group.create_task(api.follow("/api/v1/services", services.service_changed, {}))
        group.create_task(api.follow("/apis/discovery.k8s.io/v1/endpointslices", services.slice_changed, {}))
        group.create_task(Proxies(services).run())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
