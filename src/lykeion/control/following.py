"""List and watch: all that happens to the objects of a kind, through lost connections and dropped histories."""

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from lykeion.core import Unavailable

from .resource import AnyKind
from .resource_store import Change, Gone, Listing, ResourceStore

AGAIN_AFTER_S = 1.0
"""How long to wait before a store that cannot be reached is asked again."""

_log = logging.getLogger("lykeion.control")


async def follow(
    store: ResourceStore, kind: AnyKind, listed: Callable[[Listing], None], changed: Callable[[Change], None]
) -> NoReturn:
    """Call ``listed`` with all objects, then ``changed`` with each change; ``listed`` again where changes were lost.

    What is known and not in a listing was deleted meanwhile.
    """
    while True:
        try:
            listing = await store.listing(kind)
            listed(listing)
            async for change in store.watch(kind, listing.version):
                changed(change)
        except Gone:
            continue
        except Unavailable as error:
            _log.warning("%s; asking again", error)
            await asyncio.sleep(AGAIN_AFTER_S)
