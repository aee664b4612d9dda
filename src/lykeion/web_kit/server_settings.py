"""Settings that all servers share."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from lykeion.core import Invalid, core_count

MIN_TOKEN_CHARACTERS = 16
_HOST_NAME = re.compile(r"[0-9a-z]([0-9a-z.-]*[0-9a-z])?|\[[0-9a-f:.]+\]")


class SettingsError(Invalid):
    """Invalid settings."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Limits of a server. What exceeds them is refused at once with 413, 429 or 503; nothing queues without bound."""

    token: str = field(default="", repr=False)
    """API token that requests must carry. Without one only loopback may be served, or what ``open_address`` says."""
    metrics_token: str = field(default="", repr=False)
    """Token that ``/metrics`` is answered to, beside ``token``."""
    open_metrics: bool = False
    """Answer ``/metrics`` without a token."""
    open_address: bool = False
    """Listen on any address without a token: who may connect is decided elsewhere, such as by a network policy."""
    allowed_hosts: frozenset[str] = frozenset()
    """Names in lower case, beside this machine's own, by which it is asked without a token: those of a proxy."""
    proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Addresses of proxies, which say whose requests they pass on."""
    max_body_bytes: int = 32 << 20
    """Of one request; all uploads in progress together may use 16 times as much."""
    threads: int = field(default_factory=core_count)
    """Searches, embeddings and writes that run at the same time."""
    waiting: int = 128
    """Tasks that may wait for a thread."""
    per_client: int = 64
    """Requests in progress from one address."""
    timeout_s: float = 30.0
    """From a request's first byte to the end of its response; to its start where it outlives the timeout."""

    def __post_init__(self) -> None:
        _check_token("API token", self.token)
        _check_token("token for metrics", self.metrics_token)
        for host in self.allowed_hosts:
            if not _HOST_NAME.fullmatch(host):
                raise SettingsError(f"{host!r} is not a host's name in lower case, without a port")


def read_proxies(texts: Iterable[str]) -> tuple[IPv4Network | IPv6Network, ...]:
    """From addresses and networks, such as 10.0.0.0/8. Raises SettingsError."""
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise SettingsError(f"a proxy is named by its address or network, such as 10.0.0.0/8: {error}") from None


def read_token(path: Path) -> str:
    """The token in a file, without surrounding white space. Raises SettingsError."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot read the API token: {error}") from None
    if not token:
        raise SettingsError(f"{path}: the file with the API token is empty")
    return token


def _check_token(what: str, token: str) -> None:
    sendable = token.isascii() and token.isprintable() and token == token.strip()
    if token and (len(token) < MIN_TOKEN_CHARACTERS or not sendable):
        raise SettingsError(f"the {what} must be one line of at least {MIN_TOKEN_CHARACTERS} ASCII characters")
