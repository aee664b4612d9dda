"""The part of a kubelet's server that the API server asks for ``kubectl logs``."""

import asyncio
import ssl
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from .containers import Container

if TYPE_CHECKING:
    from .node import Node


async def serve_logs(node: "Node") -> int:
    """Serve ``/containerLogs/NAMESPACE/POD/CONTAINER``; returns the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            target = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            await _answer(node, target, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(node.settings.certificate, node.settings.key)
    server = await asyncio.start_server(answer, node.settings.machine, 0, ssl=context)
    return server.sockets[0].getsockname()[1]


async def _answer(node: "Node", target: str, writer: asyncio.StreamWriter) -> None:
    url = urlsplit(target)
    query = {key: values[-1] for key, values in parse_qs(url.query).items()}
    container = _find(node, url.path.split("/")[1:])
    path = container.log_path(previous=query.get("previous") == "true") if container else None
    if not container or not path or not path.exists():
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        return
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n")
    with path.open("rb") as log:
        content = log.read()
        if "tailLines" in query:
            count = int(query["tailLines"])
            content = b"".join(content.splitlines(keepends=True)[-count:]) if count else b""
        limit = int(query.get("limitBytes", len(content)))
        writer.write(content[:limit])
        while query.get("follow") == "true":
            await writer.drain()
            ended = not container.runs
            more = log.read()
            writer.write(more)
            if ended and not more:
                break
            if not more:
                await asyncio.sleep(0.1)
    await writer.drain()


def _find(node: "Node", path: list[str]) -> Container | None:
    if len(path) != 4 or path[0] != "containerLogs":
        return None
    _, namespace, name, container = path
    for pod in node.pods.values():
        metadata = pod.document["metadata"]
        if (metadata["namespace"], metadata["name"]) == (namespace, name):
            return next((it for it in pod.all if it.name == container), None)
    return None
