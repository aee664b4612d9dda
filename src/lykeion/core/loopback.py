"""Whether a host name or address always means this machine."""

from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address

_IPV4 = IPv4Network("127.0.0.0/8")
_IPV6 = IPv6Address("::1")


def is_loopback(host: str) -> bool:
    """``host`` has no port; an IPv6 address may be in brackets.

    A service without a token answers loopback alone, and credentials go over plain HTTP to loopback alone: "no" is
    the safe answer to both. So loopback is ``localhost`` and addresses in their usual notation, and nothing else. Not
    ``localhost.`` or names below localhost, for which some resolvers ask the network; not ``127.1`` or
    ``2130706433``, which some programs read as names; not addresses with a zone or mapped ones
    (``::ffff:127.0.0.1``); not ``0.0.0.0``, which is every interface.
    """
    if host.lower() == "localhost":
        return True
    try:
        return IPv4Address(host) in _IPV4
    except AddressValueError:
        pass
    try:
        return IPv6Address(host[1:-1] if host.startswith("[") and host.endswith("]") else host) == _IPV6
    except AddressValueError:
        return False
