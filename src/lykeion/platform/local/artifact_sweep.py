"""Removes the artifacts of runs that were deleted, once an hour."""

import asyncio
import logging
from collections.abc import Sequence

from lykeion import registry
from lykeion.control import AnyKind, ResourceStore
from lykeion.core import LykeionError

PREFIXES = ("pipelines/", "batches/", "trainings/")
"""Of the names under which runs keep their outputs."""
EVERY_S = 3600.0

_log = logging.getLogger("lykeion.platform")


class ArtifactSweep:
    """For resources of ``kinds`` in ``store``."""

    def __init__(self, store: ResourceStore, kinds: Sequence[AnyKind]) -> None:
        self._store, self._kinds = store, kinds

    async def run(self) -> None:
        while True:
            try:
                await self.sweep()
            except LykeionError as error:
                _log.warning("artifacts of deleted runs: %s; trying again later", error)
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Forget what deleted runs have kept, and free its space. Returns the number of artifacts."""
        loop = asyncio.get_running_loop()

        def live() -> set[str]:
            return asyncio.run_coroutine_threadsafe(self._live(), loop).result()

        def forget() -> int:
            disk = registry.Stores().disk
            forgotten = registry.forget_runs(disk, PREFIXES, live)
            if forgotten:
                registry.collect(disk)
            return forgotten

        return await asyncio.to_thread(forget)

    async def _live(self) -> set[str]:
        listings = [await self._store.listing(kind) for kind in self._kinds]
        readable = {each.metadata.uid for listing in listings for each in listing.items}
        return readable.union(*(listing.unreadable for listing in listings))
