"""What clients are sent of an environment, and word of its changes, whichever process made them."""

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from lykeion.core import LykeionError

from .flag_compiling import FlagEnvironment, client_groups
from .flag_experiments import FlagExperiments, features_with
from .flag_store import PRODUCTION, FlagStore
from .flag_tables import FlagBase

POLL_S = 0.5
NO_EXPERIMENTS = FlagExperiments()
_log = logging.getLogger("lykeion.delivery")


@dataclass(frozen=True)
class FlagPayload:
    """``body`` is a JSON document as GrowthBook's API sends it, ``number`` that of the environment's last change."""

    number: int
    body: bytes
    etag: str
    environment: FlagEnvironment
    experiments: FlagExperiments = NO_EXPERIMENTS


class FlagFeed:
    """Of all environments of a store. ``read`` may be called from any thread, the rest in the event loop.

    ``experiments`` are on flags of the environment for production."""

    def __init__(
        self,
        base: FlagBase,
        poll_s: float = POLL_S,
        experiments: Callable[[], FlagExperiments] = lambda: NO_EXPERIMENTS,
    ) -> None:
        self._base, self._poll_s, self.ended = base, poll_s, False
        self._experiments = experiments
        self._payloads: dict[str, FlagPayload] = {}
        self._listeners: dict[str, set[asyncio.Event]] = {}

    def read(self, environment: str) -> FlagPayload:
        """As it is now; it is made again only if it has changed. Raises what the store and the experiments raise."""
        known, store = self._payloads.get(environment), FlagStore(self._base, environment)
        experiments = self._experiments() if environment == PRODUCTION else NO_EXPERIMENTS
        number, changed_at = store.number()
        if known is None or known.number < number or known.experiments != experiments:
            known = self._payloads[environment] = _payload(store.read(), number, changed_at, experiments)
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
        seen: dict[str, str] = {}
        try:
            while True:
                for environment in list(self._listeners):
                    try:
                        etag = (await asyncio.to_thread(self.read, environment)).etag
                    except LykeionError as error:
                        _log.warning("flags of %s cannot be read: %s", environment, error)
                        continue
                    if seen.get(environment) != etag:
                        seen[environment] = etag
                        self._wake(environment)
                await asyncio.sleep(self._poll_s)
        finally:
            self.ended = True
            for environment in list(self._listeners):
                self._wake(environment)

    def _wake(self, environment: str) -> None:
        for event in self._listeners.get(environment, ()):
            event.set()


def _payload(
    environment: FlagEnvironment, number: int, changed_at: float, experiments: FlagExperiments
) -> FlagPayload:
    """Clients take a document only if its time is another than that of the one they have."""
    changed_at = max(changed_at, experiments.changed_at)
    document = {
        "status": 200,
        "features": features_with(environment, experiments.running),
        "savedGroups": client_groups(environment),
        "dateUpdated": datetime.fromtimestamp(changed_at, UTC).isoformat(timespec="milliseconds"),
    }
    body = json.dumps(document, separators=(",", ":")).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return FlagPayload(number, body, etag, environment, experiments)
