"""Connections kept open: plain or TLS, straight or through a proxy.

``SSL_CERT_FILE``, ``SSL_CERT_DIR`` and docker's ``/etc/docker/certs.d/HOST/ca.crt`` name certificate authorities;
``https_proxy``, ``http_proxy`` and ``no_proxy`` say what goes through a proxy. Loopback never does, and it alone is
spoken to without TLS.
"""

import base64
import http.client
import ssl
import threading
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from lykeion.core import is_loopback

from .errors import StoreError

BLOCK = 2**20
MAX_IDLE = 8
CERTIFICATES = Path("/etc/docker/certs.d")

Connection: TypeAlias = http.client.HTTPConnection


def origin(url: SplitResult) -> tuple[str, str, int]:
    """What two URLs share if they are on one server: scheme, host, port."""
    return url.scheme, (url.hostname or "").lower(), url.port or (443 if url.scheme == "https" else 80)


class Connections:
    """A pool; ``take`` may be called by any thread, and who takes gives back or closes."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout = timeout_s
        self._idle: dict[tuple[str, str, int], list[Connection]] = defaultdict(list)
        self._lock = threading.Lock()

    def take(self, url: SplitResult, *, new: bool) -> tuple[Connection, bool]:
        """A connection to the URL's server, and whether it was used before. Raises OSError, StoreError."""
        with self._lock:
            idle = self._idle[origin(url)]
            if idle and not new:
                return idle.pop(), True
        return self._connect(url), False

    def give_back(self, url: SplitResult, connection: Connection) -> None:
        with self._lock:
            idle = self._idle[origin(url)]
            if len(idle) < MAX_IDLE:
                idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        with self._lock:
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()

    def _connect(self, url: SplitResult) -> Connection:
        scheme, host, port = origin(url)
        if scheme not in ("http", "https") or not host:
            raise StoreError(f"{url.geturl()[:200]}: not an address over HTTP")
        if scheme == "http" and not is_loopback(host):
            raise StoreError(f"{host}: plain HTTP is for this machine alone; a registry elsewhere needs TLS")
        proxy = _proxy_for(host, port) if scheme == "https" else None
        there = (proxy.hostname or "", proxy.port or 80) if proxy else (host, port)
        if scheme == "https":
            connection: Connection = http.client.HTTPSConnection(
                *there, timeout=self._timeout, blocksize=BLOCK, context=_tls(host, port)
            )
        else:
            connection = http.client.HTTPConnection(*there, timeout=self._timeout, blocksize=BLOCK)
        if proxy:
            connection.set_tunnel(host, port, headers=_proxy_login(proxy))
        connection.connect()
        return connection


def _proxy_for(host: str, port: int) -> SplitResult | None:
    """The proxy that the environment names for a server, spoken to over plain HTTP."""
    if is_loopback(host) or proxy_bypass(f"{host}:{port}"):
        return None
    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all")
    if not named:
        return None
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise StoreError("https_proxy: only proxies at http://host:port are spoken to")
    return proxy


def _proxy_login(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


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
