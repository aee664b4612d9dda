"""List and watch: all changes of a kind's objects, across lost connections and dropped histories."""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from typing import NoReturn

from lykeion.core import Refused, Unavailable

from .resource import AnyKind
from .resource_store import Change, Gone, Listing, ResourceStore

AGAIN_AFTER_S = 1.0
"""How long to wait before retrying a store that cannot be reached; twice as long after each failure."""
AT_MOST_S = 30.0

_log = logging.getLogger("lykeion.control")


async def follow(
    store: ResourceStore, kind: AnyKind, listed: Callable[[Listing], None], changed: Callable[[Change], None]
) -> NoReturn:
    """Call ``listed`` with all objects, then ``changed`` with each change; ``listed`` again if changes were lost.

    A known object that is not in a listing has been deleted.
    """
    again_s = AGAIN_AFTER_S
    while True:
        watched = False
        try:
            listing = await store.listing(kind)
            listed(listing)
            again_s = AGAIN_AFTER_S
            async with aclosing(store.watch(kind, listing.version)) as changes:
                async for change in changes:
                    changed(change)
                    watched = True
        except Gone:
            if not watched:  # or a store that forgets at once would be listed without a pause
                await asyncio.sleep(again_s * random.uniform(0.5, 1))  # noqa: S311
        except (Unavailable, Refused) as error:
            _log.warning("%s; asking again", error)
            await asyncio.sleep(again_s * random.uniform(0.5, 1))  # noqa: S311
            again_s = min(2 * again_s, AT_MOST_S)
