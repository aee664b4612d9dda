"""Persistent connections by urllib3: plain or TLS, direct or through a proxy.

``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and docker's ``/etc/docker/certs.d/HOST/ca.crt`` name certificate authorities;
``https_proxy`` and ``no_proxy`` say what goes through a proxy. Loopback and plain HTTP never do. Plain HTTP is for
loopback, and for whatever a registry elsewhere leads to that is itself spoken to so.

A registry directs its clients to other addresses: for blobs, uploads and tokens. None of them may be in a network
(loopback, link-local, private) that the registry itself is not in. The address of the connected peer decides, since a
name may resolve to anything. With a proxy, that is left to the proxy.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, TypeAlias, cast
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection

from lykeion.core import is_loopback

from .errors import StoreError

BLOCK = 2**20
MAX_IDLE = 8
CERTIFICATES = Path("/etc/docker/certs.d")

Origin: TypeAlias = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file, as a body that can be sent repeatedly."""

    path: Path
    offset: int
    length: int


def origin(url: SplitResult) -> Origin:
    """What URLs on the same server have in common: scheme, host, port."""
    return url.scheme, (url.hostname or "").lower(), url.port or (443 if url.scheme == "https" else 80)


def read_url(text: str, base: str = "") -> SplitResult:
    """An address over HTTP, or one relative to ``base``. Raises StoreError."""
    try:
        url = urlsplit(urljoin(base, text))
        _ = url.port  # which reads it
    except ValueError:
        url = SplitResult("", "", "", "", "")
    if url.scheme in ("http", "https") and url.hostname and url.geturl().isascii():
        return url
    raise StoreError(f"{text[:200]!r}: not an address over HTTP")


def network_of(address: str) -> str:
    """The non-public network that an address belongs to; "" for public addresses, and for a name."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if ip.is_loopback or ip.is_unspecified:
        return "loopback"
    if ip.is_link_local:
        return "link-local"
    return "" if ip.is_global else "private"


class Connections:
    """Connection pools by server, for one registry at ``home``. Thread-safe."""

    def __init__(self, home: Origin, timeout_s: float) -> None:
        self._home, self._timeout = home, timeout_s
        self._networks: set[str] = set()
        self._pools: dict[Origin, urllib3.HTTPConnectionPool] = {}
        self._lock = threading.Lock()

    def send(
        self, method: str, url: SplitResult, headers: Mapping[str, str], body: bytes | Piece, *, new: bool
    ) -> urllib3.BaseHTTPResponse:
        """The response to one request, with its body unread; ``new`` forces a new connection.

        Raises OSError, StoreError.
        """
        length = body.length if isinstance(body, Piece) else len(body)
        if length or method in ("POST", "PUT", "PATCH"):
            headers = {**headers, "Content-Length": str(length)}
        with network_errors():
            answer = self._pool(url, new=new).urlopen(
                method,
                (url.path or "/") + (f"?{url.query}" if url.query else ""),
                cast(Any, _blocks(body)) if isinstance(body, Piece) else body or None,
                {"User-Agent": "lykeion", **headers},
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                decode_content=False,
            )
        if answer.length_remaining == 0:
            answer.drain_conn()  # which returns the connection to the pool
        return answer

    def close(self) -> None:
        with self._lock:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()

    def _pool(self, url: SplitResult, *, new: bool) -> urllib3.HTTPConnectionPool:
        there = origin(url)
        if new:
            return self._connect(there)
        with self._lock:
            if there not in self._pools:
                self._pools[there] = self._connect(there)
            return self._pools[there]

    def _connect(self, there: Origin) -> urllib3.HTTPConnectionPool:
        plain = is_loopback(there[1]) or (self._home[0] == "http" and not is_loopback(self._home[1]))
        if there[0] == "http" and not plain:
            raise StoreError(f"{self._home[1]}: leads to plain HTTP at {there[1]}, and needs TLS there")
        return _connect(there, self._timeout, partial(self._judge, there))

    def _judge(self, there: Origin, peer: str) -> None:
        """Raises StoreError if the registry is not in the peer's network."""
        network = network_of(peer)
        if there == self._home:
            self._networks.add(network)
        elif network and network not in self._networks:
            raise StoreError(
                f"{self._home[1]}: leads to {there[1]}, a {network} address ({peer}), where it is not itself"
            )


@contextmanager
def network_errors() -> Generator[None]:
    """Converts urllib3's errors to the OSError behind each."""
    try:
        yield
    except urllib3.exceptions.HTTPError as error:
        cause = error.__cause__ or error.__context__
        raise cause if isinstance(cause, OSError) else ConnectionError(str(error) or type(error).__name__) from None


def _connect(there: Origin, timeout_s: float, judge: Callable[[str], None]) -> urllib3.HTTPConnectionPool:
    """``judge`` is called with the peer's address before anything is sent; with a proxy, with the host."""
    scheme, host, port = there
    settings: dict[str, Any] = {"timeout": timeout_s, "maxsize": MAX_IDLE, "blocksize": BLOCK}
    manager = urllib3.PoolManager()
    if scheme == "https":
        settings["ssl_context"] = _tls(host, port)
        if proxy := _proxy_for(host, port):
            judge(host)
            manager = urllib3.ProxyManager(
                f"http://{proxy.hostname}:{proxy.port or 80}", proxy_headers=_proxy_login(proxy)
            )
    pool = manager.connection_from_host(host, port, scheme, settings)
    if not pool.proxy:
        pool.ConnectionCls = _judged(pool.ConnectionCls, judge)
    return pool


def _judged(connection: Any, judge: Callable[[str], None]) -> Any:
    """A connection class whose peer is checked before the TLS handshake."""
    kind: type[HTTPConnection] = connection

    class Judged(kind):
        def _new_conn(self) -> socket.socket:
            made = super()._new_conn()
            try:
                judge(made.getpeername()[0])
            except BaseException:
                made.close()
                raise
            return made

    return Judged


def _blocks(piece: Piece) -> Iterator[memoryview]:
    """The bytes of a part of a file, in one reused buffer, since each block is sent before the next is read."""
    buffer, left = memoryview(bytearray(min(BLOCK, piece.length))), piece.length
    with piece.path.open("rb", buffering=0) as file:
        file.seek(piece.offset)
        while left:
            count = file.readinto(buffer[:left])
            if not count:
                raise StoreError(f"{piece.path}: was truncated while it was sent")
            yield buffer[:count]
            left -= count


def _proxy_for(host: str, port: int) -> SplitResult | None:
    """The proxy for a server according to the environment, used over plain HTTP."""
    if is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return None
    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all")
    if not named:
        return None
    with suppress(StoreError):
        proxy = read_url(named if "://" in named else f"http://{named}")
        if proxy.scheme == "http":
            return proxy
    raise StoreError("https_proxy: only proxies at http://host:port are supported")


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": urllib3.make_headers(basic_auth=login)["authorization"]}


@cache
def _tls(host: str, port: int) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for name in (f"{host}:{port}", host):
        for authority in sorted((CERTIFICATES / name).glob("*.crt")):
            try:
                context.load_verify_locations(authority)
            except (OSError, ssl.SSLError) as error:
                raise StoreError(f"{authority}: not a certificate authority ({error})") from None
    return context
