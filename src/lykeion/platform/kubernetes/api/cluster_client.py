"""Requests to an API server: documents in and out, its errors as ours, at a limited rate."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeAlias, cast

import httpx2
import msgspec
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from lykeion.core import first_line
from lykeion.platform.kubernetes.objects import KubeObject

from .request_rate import RequestRate
from .server_answers import ClusterError, ClusterRefused, error_of

TIMEOUT_S = 30.0
"""Of one request, longer than the server takes before it gives up a write."""
CONNECT_TIMEOUT_S = 10.0
LIMIT_ANSWER_BYTES = 256 << 20
ATTEMPTS = 5
"""Of a request that the server turned away and asked to send again."""
LIMIT_PAUSE_S = 30.0

Query: TypeAlias = Mapping[str, str]
PatchType: TypeAlias = Literal["apply", "merge"]
Observe: TypeAlias = Callable[[str, str, int], object]
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PATCH_TYPES = {"apply": "application/apply-patch+yaml", "merge": "application/merge-patch+json"}


class ClusterClient:
    """For one event loop; close it. All methods raise what ``error_of`` lists, and ClusterError.

    ``what`` names the object in errors, such as ``job/shoes``. ``observe`` is called with each answer's method, path
    and status. ``may_write`` is asked when a write is about to be sent; where it says no, that raises ClusterRefused.
    """

    def __init__(
        self,
        access: SingleConfig,
        rate: RequestRate | None = None,
        observe: Observe | None = None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        self.server, self.namespace = access.cluster.server, access.namespace
        self._rate, self._observe, self._may_write = rate or RequestRate(), observe or _unseen, may_write
        timeout = httpx2.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
        self._client = _connection(access, timeout)

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, what: str, query: Query | None = None) -> KubeObject:
        return await self.request("GET", path, what, query=query)

    async def get_metadata(self, path: str, what: str, query: Query | None = None) -> KubeObject:
        """Of the objects of a listing, nothing but their metadata."""
        return await self.request("GET", path, what, query=query, accept=_METADATA)

    async def post(self, path: str, what: str, document: KubeObject, query: Query | None = None) -> KubeObject:
        return await self.request("POST", path, what, document, query)

    async def put(self, path: str, what: str, document: KubeObject, query: Query | None = None) -> KubeObject:
        return await self.request("PUT", path, what, document, query)

    async def patch(
        self, path: str, what: str, document: KubeObject, type_: PatchType, query: Query | None = None
    ) -> KubeObject:
        return await self.request("PATCH", path, what, document, query, _PATCH_TYPES[type_])

    async def delete(self, path: str, what: str, options: KubeObject) -> KubeObject:
        return await self.request("DELETE", path, what, options)

    async def request(
        self,
        method: str,
        path: str,
        what: str,
        document: KubeObject | None = None,
        query: Query | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> KubeObject:
        """A request that the server turns away with Retry-After is sent again after that time."""
        content = None if document is None else json.dumps(document).encode()
        headers = {"Accept": accept, **({"Content-Type": content_type} if content else {})}
        request = self._client.build_request(method, path, content=content, params=dict(query or {}), headers=headers)
        answer = await self._send(request)
        for _ in range(ATTEMPTS - 1):
            pause_s = _pause_s(answer)
            if pause_s is None:
                break
            self._rate.close(pause_s)
            answer = await self._send(request)
        return self._checked(answer.status_code, answer.content, what)

    @asynccontextmanager
    async def lines(
        self, path: str, what: str, query: Query, silence_s: float
    ) -> AsyncGenerator[AsyncGenerator[str, None]]:
        """The lines of an answer, for as long as it lasts; after ``silence_s`` without any, raises ClusterError."""
        async with self._streamed(path, what, query, silence_s) as answer:
            yield self._lines_of(answer)

    async def chunks(self, path: str, what: str, query: Query) -> AsyncGenerator[bytes, None]:
        """An answer that is no document, such as a log, as it comes; it may be silent for ever."""
        async with self._streamed(path, what, query, None) as answer:
            try:
                async for chunk in answer.aiter_bytes():
                    yield chunk
            except httpx2.HTTPError as error:
                raise self._unreachable(error) from None

    @asynccontextmanager
    async def _streamed(
        self, path: str, what: str, query: Query, silence_s: float | None
    ) -> AsyncGenerator[httpx2.Response]:
        timeout = httpx2.Timeout(TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=silence_s)
        await self._rate.wait()
        try:
            async with self._client.stream("GET", path, params=dict(query), timeout=timeout) as answer:
                self._observe("WATCH", path, answer.status_code)
                if answer.is_error:
                    self._rate.close(_pause_s(answer) or 0)
                    self._checked(answer.status_code, await answer.aread(), what)
                yield answer
        except (httpx2.HTTPError, ConfigError) as error:
            raise self._unreachable(error) from None

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        await self._rate.wait()
        if request.method != "GET" and not self._may_write():
            raise ClusterRefused(f"{request.url.path} is not written: this process does not have the Lease")
        try:
            answer = await self._client.send(request)
        except (httpx2.HTTPError, ConfigError) as error:
            raise self._unreachable(error) from None
        self._observe(request.method, request.url.path, answer.status_code)
        return answer

    async def _lines_of(self, answer: httpx2.Response) -> AsyncGenerator[str, None]:
        try:
            async for line in answer.aiter_lines():
                yield line
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from None

    def _checked(self, code: int, body: bytes, what: str) -> KubeObject:
        if code >= 400:
            raise error_of(code, _status(body), what)
        if len(body) > LIMIT_ANSWER_BYTES:
            raise ClusterError(f"{self.server}: an answer of more than {LIMIT_ANSWER_BYTES} bytes")
        try:
            return msgspec.json.decode(body)  # a third of the time of json's: a restart reads all objects
        except (msgspec.DecodeError, RecursionError) as wrong:
            raise ClusterError(f"{self.server}: an answer that is not JSON ({wrong})") from None

    def _unreachable(self, error: Exception) -> Exception:
        if isinstance(error, ConfigError):
            return ClusterRefused(f"{self.server}: {first_line(error)}")
        if isinstance(error, httpx2.TimeoutException):
            return ClusterError(f"{self.server} does not answer ({type(error).__name__})")
        return ClusterError(f"{self.server}: {first_line(error)}")


def _connection(access: SingleConfig, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """Raises ClusterRefused if a certificate cannot be read."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
    user = access.user or User()
    try:
        verify = verify_cluster(access.cluster, user, access.abs_file)
        auth = user_auth(user)
    except (OSError, ConfigError, ValueError) as error:
        raise ClusterRefused(f"{access.context_name}: {first_line(error)}") from None
    return httpx2.AsyncClient(
        base_url=access.cluster.server, verify=verify, auth=auth, timeout=timeout, limits=limits
    )


def _status(body: bytes) -> dict[str, Any]:
    """The Status in an answer; what is none, such as a proxy's page, gives an empty one."""
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return cast(dict[str, Any], status) if isinstance(status, dict) else {}


def _pause_s(answer: httpx2.Response) -> float | None:
    """How long the server asks to wait before the request is sent again, if it turned it away."""
    if answer.status_code not in (429, 503):
        return None
    try:
        asked = float(answer.headers["Retry-After"])
    except (KeyError, ValueError):  # absent, or a date: the caller backs off
        return None
    return min(max(asked, 0.0), LIMIT_PAUSE_S)


def _unseen(method: str, path: str, code: int) -> None:
    """Nobody counts requests."""
