"""What clients are sent of an environment, and word of its changes, whichever process made them."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lykeion.core import LykeionError

from .flag_compiling import FlagEnvironment, client_groups
from .flag_store import FlagStore
from .flag_tables import FlagBase

POLL_S = 0.5
_log = logging.getLogger("lykeion.delivery")


@dataclass(frozen=True)
class FlagPayload:
    """``body`` is a JSON document as GrowthBook's API sends it, ``number`` that of the environment's last change."""

    number: int
    body: bytes
    etag: str
    environment: FlagEnvironment


class FlagFeed:
    """Of all environments of a store. ``read`` may be called from any thread, the rest in the event loop."""

    def __init__(self, base: FlagBase, poll_s: float = POLL_S) -> None:
        self._base, self._poll_s, self.ended = base, poll_s, False
        self._payloads: dict[str, FlagPayload] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def read(self, environment: str) -> FlagPayload:
        """As it is now; it is made again only if it has changed. Raises what the store raises."""
        known, store = self._payloads.get(environment), FlagStore(self._base, environment)
        number, changed_at = store.number()
        if known is None or known.number < number:
            known = self._payloads[environment] = _payload(store.read(), number, changed_at)
        return known

    def latest(self, environment: str) -> FlagPayload:
        """As it was last read, which it has to have been."""
        return self._payloads[environment]

    @asynccontextmanager
    async def listening(self, environment: str) -> AsyncGenerator[asyncio.Event]:
        """An event that is set when the environment has changed, or the feed has ended; whoever waits clears it."""
        event = asyncio.Event()
        self._listeners.setdefault(environment, set()).add(event)
        try:
            yield event
        finally:
            listeners = self._listeners[environment]
            listeners.discard(event)
            if not listeners:
                del self._listeners[environment]

    async def run(self) -> None:
        """Until it is cancelled: looks for changes, while somebody listens."""
        seen: dict[str, int] = {}
        try:
            while True:
                for environment in list(self._listeners):
                    try:
                        number = (await asyncio.to_thread(self.read, environment)).number
                    except LykeionError as error:
                        _log.warning("flags of %s cannot be read: %s", environment, error)
                        continue
                    if seen.get(environment) != number:
                        seen[environment] = number
                        self._wake(environment)
                await asyncio.sleep(self._poll_s)
        finally:
            self.ended = True
            for environment in list(self._listeners):
                self._wake(environment)

    def _wake(self, environment: str) -> None:
        for event in self._listeners.get(environment, ()):
            event.set()


def _payload(environment: FlagEnvironment, number: int, changed_at: float) -> FlagPayload:
    document = {
        "status": 200,
        "features": environment.client_features,
        "savedGroups": client_groups(environment),
        "dateUpdated": datetime.fromtimestamp(changed_at, UTC).isoformat(timespec="milliseconds"),
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    return FlagPayload(number, body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', environment)
