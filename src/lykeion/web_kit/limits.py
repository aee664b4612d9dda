"""How much and how often: decisions over numbers alone, for any server, ASGI or not."""

from collections import Counter
from collections.abc import Sequence

from .admission import Refusal

BODIES_AT_ONCE = 16
MAX_DIGITS = 18
CLOSE = {"Connection": "close"}


def refuse_length(lengths: Sequence[str], encodings: Sequence[str], limit: int) -> Refusal | None:
    """Refuse a body by its Content-Length and Transfer-Encoding headers, before it is read.

    Threats: a body that fills the memory; and smuggling, where a proxy before us and we see different ends of one
    body, and so different requests after it. So the length is said once, in digits, or the body comes in chunks.
    """
    if not lengths:
        return None
    if len(lengths) > 1 or encodings or not (lengths[0].isascii() and lengths[0].isdecimal()):
        return Refusal(400, "the body's length is not one number of digits", CLOSE)
    if len(lengths[0]) > MAX_DIGITS or int(lengths[0]) > limit:
        return _too_large(limit)
    return None


class Uploads:
    """Bytes of the bodies under way.

    Threats: a body that never ends, of no announced length; many bodies at once, each small enough, that together
    fill the memory.
    """

    def __init__(self, limit: int) -> None:
        """``limit``: bytes of one body; all together may hold BODIES_AT_ONCE times as much."""
        self.limit, self.held = limit, 0

    def take(self, size: int, before: int) -> Refusal | None:
        """Count a piece of a body of which ``before`` bytes came already."""
        self.held += size
        if before + size > self.limit:
            return _too_large(self.limit)
        if self.held > BODIES_AT_ONCE * self.limit:
            return Refusal(503, "too many uploads at once", CLOSE)
        return None

    def free(self, size: int) -> None:
        """A body of so many bytes is done with."""
        self.held -= size


class Clients:
    """Requests under way, by the address of who asks.

    Threat: one client that takes every thread and connection. The address is that of the connection: what a header
    (``X-Forwarded-For``) says of it, the client could have made up.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.under_way: Counter[str] = Counter()

    def enter(self, client: str) -> Refusal | None:
        """Count a request, unless it is refused."""
        if self.under_way[client] >= self._limit:
            return Refusal(429, f"{self._limit} requests from {client} are under way already")
        self.under_way[client] += 1
        return None

    def leave(self, client: str) -> None:
        self.under_way[client] -= 1
        if not self.under_way[client]:
            del self.under_way[client]


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"the body is larger than {limit:,} bytes", CLOSE)
