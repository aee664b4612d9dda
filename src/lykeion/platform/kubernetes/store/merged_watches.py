"""Several watches as one, for platforms that look into some namespaces only."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TypeVar

from lykeion.control import Gone

T = TypeVar("T")


def join_versions(versions: Sequence[str]) -> str:
    return ",".join(versions)


def split_versions(joined: str, count: int) -> list[str]:
    """Raises Gone if they are those of other watches."""
    versions = joined.split(",")
    if len(versions) != count:
        raise Gone("the watched namespaces have changed; list again")
    return versions


async def merged(generators: Sequence[AsyncGenerator[T, None]]) -> AsyncGenerator[T, None]:
    """What each of them brings, as it comes. Raises what the first of them raises; all are closed."""
    if len(generators) == 1:
        async for each in generators[0]:
            yield each
        return
    queue: asyncio.Queue[T] = asyncio.Queue(maxsize=len(generators))

    async def pass_on(generator: AsyncGenerator[T, None]) -> None:
        async for each in generator:
            await queue.put(each)

    tasks = [asyncio.create_task(pass_on(each)) for each in generators]
    ended = asyncio.gather(*tasks)
    try:
        while True:
            waiting = asyncio.ensure_future(queue.get())
            await asyncio.wait((waiting, ended), return_when="FIRST_COMPLETED")
            if waiting.done():
                yield waiting.result()
            else:
                waiting.cancel()
                await ended
                return
    finally:
        ended.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for each in generators:
            await each.aclose()
