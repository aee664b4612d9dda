"""The API server for a node and the network: requests wait while it is away, and watches begin again."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from .kubernetes_api import Object, connection

RETRY_S = 0.2


class Refused(Exception):
    """``code`` is HTTP's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class WatchingApi:
    def __init__(self, kubeconfig: Path) -> None:
        address, context, headers = connection(kubeconfig)
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=50)
        self.client = httpx.AsyncClient(
            base_url=address, verify=context, headers=headers, timeout=30, limits=limits, trust_env=False
        )

    async def get(self, path: str) -> Object:
        return await self.send("GET", path)

    async def send(
        self, method: str, path: str, body: Object | None = None, form: str = "application/json"
    ) -> Object:
        """Raises Refused; waits while there is no server, or one that is busy."""
        content = None if body is None else json.dumps(body)
        while True:
            try:
                response = await self.client.request(method, path, content=content, headers={"content-type": form})
                if response.status_code < 400:
                    return response.json()
                if response.status_code not in (429, 500, 502, 503, 504):
                    raise Refused(response.status_code, _message(response))
            except httpx.TransportError:
                pass
            await asyncio.sleep(RETRY_S)

    async def patch_status(self, path: str, status: Object, uid: str | None = None) -> Object:
        """Lists are merged by their keys, so that others' conditions stay. Refused with 409 for another uid."""
        body = {"status": status, **({"metadata": {"uid": uid}} if uid else {})}
        return await self.send("PATCH", f"{path}/status", body, "application/strategic-merge-patch+json")

    async def ensure(self, path: str, document: Object) -> None:
        """Create it unless it is there."""
        try:
            await self.send("POST", path, document)
        except Refused as error:
            if error.code != 409:
                raise

    async def follow(self, path: str, changed: Callable[[str, Object], None], query: Mapping[str, str]) -> None:
        """List and watch for ever: ``changed`` gets ADDED, MODIFIED or DELETED, and each object of a new list."""
        known: dict[str, Object] = {}
        while True:
            try:
                async for kind, it in self._events(path, query, known):
                    changed(kind, it)
            except (httpx.HTTPError, Refused):
                pass
            await asyncio.sleep(RETRY_S)

    async def _events(
        self, path: str, query: Mapping[str, str], known: dict[str, Object]
    ) -> AsyncGenerator[tuple[str, Object]]:
        response = await self.client.get(path, params=dict(query))
        if response.status_code >= 400:
            raise Refused(response.status_code, response.text)
        listed = response.json()
        there = {it["metadata"]["uid"]: it for it in listed["items"]}
        for uid in known.keys() - there.keys():
            yield "DELETED", known.pop(uid)
        known |= there
        for it in there.values():
            yield "ADDED", it
        watch = {**query, "watch": "true", "resourceVersion": listed["metadata"]["resourceVersion"]}
        async with self.client.stream("GET", path, params=watch, timeout=httpx.Timeout(30, read=None)) as stream:
            async for line in stream.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                uid = event["object"]["metadata"]["uid"]
                if event["type"] == "DELETED":
                    known.pop(uid, None)
                else:
                    known[uid] = event["object"]
                yield event["type"], event["object"]


def _message(response: httpx.Response) -> str:
    try:
        return response.json()["message"]
    except (ValueError, KeyError, TypeError):
        return response.text


def pod_path(pod: Mapping[str, Any]) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
