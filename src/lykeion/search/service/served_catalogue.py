"""The catalogue that is served now, which another one may replace while requests are in progress."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

from lykeion.web_kit import Workers

from .catalogue import Catalogue

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class _Held:
    catalogue: Catalogue
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    users: int = 0


class ServedCatalogue:
    """Each call runs on one catalogue from its start to its end. Thread-safe."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._held = _Held(catalogue)
        self._changed = threading.Condition()
        self.swaps = 0
        self.problem = ""
        """Why the index that the name refers to now is not served."""

    @property
    def since(self) -> datetime:
        return self._held.since

    @property
    def id(self) -> str:
        return self._held.catalogue.id

    @contextmanager
    def lease(self) -> Iterator[Catalogue]:
        """The catalogue of this moment, which stays open inside the context."""
        with self._changed:
            held = self._held
            held.users += 1
        try:
            yield held.catalogue
        finally:
            with self._changed:
                held.users -= 1
                self._changed.notify_all()

    def call(self, method: Callable[Concatenate[Catalogue, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self.lease() as catalogue:
            return method(catalogue, *args, **kwargs)

    def replace(self, catalogue: Catalogue) -> None:
        """Serve another catalogue from now on. Returns when calls on the old one have ended, and it is closed."""
        with self._changed:
            old, self._held = self._held, _Held(catalogue)
            self.swaps += 1
            self._changed.wait_for(lambda: not old.users)
        old.catalogue.close()

    def close(self) -> None:
        self._held.catalogue.close()


class CatalogueCalls:
    """Calls of the catalogue's methods for the event loop, in worker threads."""

    def __init__(self, served: ServedCatalogue, workers: Workers) -> None:
        self.served, self._workers = served, workers

    async def run(self, method: Callable[Concatenate[Catalogue, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises what the method raises, and Busy."""
        return await self._workers.run(self.served.call, method, *args, **kwargs)
