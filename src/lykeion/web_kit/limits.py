"""Limits on size and rate as functions of numbers alone, for any server, ASGI or not."""

from collections import Counter
from collections.abc import Sequence

from .admission import Refusal

BODIES_AT_ONCE = 16
MAX_DIGITS = 18
CLOSE = {"Connection": "close"}


def refuse_length(lengths: Sequence[str], encodings: Sequence[str], limit: int) -> Refusal | None:
    """Refuse a body by its Content-Length and Transfer-Encoding headers, before it is read.

    Threats: memory exhaustion; and request smuggling, where a proxy and this server disagree on where a body ends and
    so see different requests after it. So there must be one length, in digits, or a chunked body.
    """
    if not lengths:
        return None
    if len(lengths) > 1 or encodings or not (lengths[0].isascii() and lengths[0].isdecimal()):
        return Refusal(400, "the Content-Length is not one decimal number", CLOSE)
    if len(lengths[0]) > MAX_DIGITS or int(lengths[0]) > limit:
        return _too_large(limit)
    return None


class Uploads:
    """Bytes of the bodies in progress.

    Threats: an endless body without a Content-Length; many concurrent bodies, each within the limit, that together
    exhaust the memory.
    """

    def __init__(self, limit: int) -> None:
        """``limit``: bytes of one body; all together may use BODIES_AT_ONCE times as much."""
        self.limit, self.held = limit, 0

    def take(self, size: int, before: int) -> Refusal | None:
        """Count a chunk of a body after ``before`` bytes of it."""
        self.held += size
        if before + size > self.limit:
            return _too_large(self.limit)
        if self.held > BODIES_AT_ONCE * self.limit:
            return Refusal(503, "too many uploads at once", CLOSE)
        return None

    def free(self, size: int) -> None:
        """Release a body of so many bytes."""
        self.held -= size


class Clients:
    """Requests in progress by client address.

    Threat: one client that occupies every thread and connection. The address is that of the connection, or what a
    configured proxy says (``forwarding``). None is not counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.under_way: Counter[str] = Counter()

    def enter(self, client: str | None) -> Refusal | None:
        """Count a request unless it is refused."""
        if client is None:
            return None
        if self.under_way[client] >= self._limit:
            return Refusal(429, f"{self._limit} requests from {client} are already in progress")
        self.under_way[client] += 1
        return None

    def leave(self, client: str | None) -> None:
        if client is None:
            return
        self.under_way[client] -= 1
        if not self.under_way[client]:
            del self.under_way[client]


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than {limit:,} bytes", CLOSE)
