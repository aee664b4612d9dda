"""What a proxy says of a request that it passes on: whose it is, and which prefix of the path it has removed.

Threat: anyone can send these headers, to be counted as somebody else. They are read only if the connection comes from
an address that is configured as a proxy's.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias

from .admission import HeaderValues

Networks: TypeAlias = Sequence[IPv4Network | IPv6Network]
LIMIT_PREFIX_CHARACTERS = 256
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


@dataclass(frozen=True, slots=True)
class Caller:
    """``address`` is None for a client that is not counted: a proxy, or a program on the machine of one."""

    address: str | None
    prefix: str = ""


def caller_of(peer: str, values: HeaderValues, proxies: Networks) -> Caller:
    """Whose request this is; ``peer`` is the address of the connection."""
    if not is_proxy(peer, proxies):
        return Caller(peer)
    hops = [hop.strip() for value in values("x-forwarded-for") for hop in value.split(",")]
    return Caller(_last_client(hops, proxies), _prefix(values("x-forwarded-prefix")))


def is_proxy(address: str, proxies: Networks) -> bool:
    parsed = _parsed(address) if proxies else None
    return parsed is not None and any(parsed in network for network in proxies)


def _last_client(hops: Iterable[str], proxies: Networks) -> str | None:
    """Each proxy appends the address that it was asked from, so only what proxies have written is believed."""
    for hop in reversed([*hops]):
        if not is_proxy(hop, proxies):
            return str(_parsed(hop) or "unknown")
    return None


def _prefix(values: Sequence[str]) -> str:
    prefix = values[0].rstrip("/") if len(values) == 1 else ""
    return prefix if len(prefix) <= LIMIT_PREFIX_CHARACTERS and _PREFIX.fullmatch(prefix) else ""


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.strip("[]"))
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed
