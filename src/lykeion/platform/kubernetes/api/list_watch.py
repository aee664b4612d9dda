"""List and watch: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.

A watch continues across closed, refused and silent connections. It ends only when the server no longer has the
changes after the last one seen (Gone): the caller lists again.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import count
from typing import Any

import msgspec

from lykeion.control import Gone
from lykeion.core import Conflict, Refused, Unavailable
from lykeion.platform.kubernetes.objects import KubeObject, ObjectType

from .cluster_client import ClusterClient
from .server_answers import ClusterError, error_of

PAGE_OBJECTS = 500
WATCH_S = 300
"""How long the server keeps a watch, more or less: all watches should not begin again together."""
SILENCE_S = 100.0
"""A connection on which nothing arrives for so long is dropped; the server sends a bookmark each minute."""
FIRST_BACK_OFF_S = 0.25
LAST_BACK_OFF_S = 30.0
LIMIT_DOUBLINGS = 32
"""A power beyond what a float holds is an error, which would come after hours of failures."""

_log = logging.getLogger("lykeion.kubernetes")


@dataclass(frozen=True)
class Watched:
    """What is listed and watched: a type, in one namespace or all, limited by selectors."""

    type: ObjectType
    namespace: str | None = None
    labels: str = ""
    fields: str = ""

    @property
    def query(self) -> dict[str, str]:
        return {
            name: value for name, value in (("labelSelector", self.labels), ("fieldSelector", self.fields)) if value
        }

    def __str__(self) -> str:
        return self.type.plural + (f" in {self.namespace}" if self.namespace else "")


@dataclass(frozen=True)
class ObjectEvent:
    """``type`` is ADDED, MODIFIED or DELETED; of a deleted object, ``object`` has the version of its deletion."""

    type: str
    object: KubeObject


@dataclass(frozen=True)
class WatchTimes:
    """How long to wait for what; ``random`` draws from 0 to 1."""

    watch_s: float = WATCH_S
    silence_s: float = SILENCE_S
    first_back_off_s: float = FIRST_BACK_OFF_S
    last_back_off_s: float = LAST_BACK_OFF_S
    random: Callable[[], float] = random.random

    def back_off_s(self, failures: int) -> float:
        """Doubles with each failure, of which between half and all is waited."""
        longest = min(self.first_back_off_s * 2 ** min(failures - 1, LIMIT_DOUBLINGS), self.last_back_off_s)
        return longest * (1 + self.random()) / 2

    def server_s(self) -> int:
        return max(1, round(self.watch_s * (0.8 + 0.4 * self.random())))


class VersionsWentBack(Conflict):
    """The API server was restored from a backup: what is known by later versions is not true any more."""


class ListedVersions:
    """The versions of listings, which only rise. Who sees one fall has to begin again, with nothing known."""

    def __init__(self) -> None:
        self._last: dict[Watched, int] = {}

    def check(self, watched: Watched, version: str) -> None:
        """Raises VersionsWentBack."""
        if int(version) < self._last.get(watched, 0):
            raise VersionsWentBack(f"{watched}: the API server has an earlier version than before; begin again")
        self._last[watched] = int(version)


class WatchAges:
    """When each watch last heard from the server; for health checks and metrics."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._numbers = now, count()
        self._heard: dict[int, tuple[Watched, float]] = {}

    def begin(self, watched: Watched) -> int:
        """The number of a watch that begins."""
        number = next(self._numbers)
        self._heard[number] = watched, self._now()
        return number

    def heard(self, number: int) -> None:
        watched, _ = self._heard[number]
        self._heard[number] = watched, self._now()

    def end(self, number: int) -> None:
        del self._heard[number]

    def ages_s(self) -> dict[str, float]:
        """By what is watched; of several watches of the same, the one that has heard nothing for longest."""
        ages: dict[str, float] = {}
        for watched, at in self._heard.values():
            ages[str(watched)] = max(self._now() - at, ages.get(str(watched), 0.0))
        return ages


async def list_objects(client: ClusterClient, watched: Watched) -> tuple[list[KubeObject], str]:
    """All objects, in pages, and the version from which to watch. Raises what the client raises."""
    objects: list[KubeObject] = []
    query = first = {**watched.query, "limit": str(PAGE_OBJECTS)}
    while True:
        try:
            page = await client.get(watched.type.path(watched.namespace), str(watched), query)
        except Gone:
            if query is first:
                raise
            objects, query = [], first  # the server has forgotten the version of the first page
            continue
        objects += [_typed(each, watched.type) for each in page.get("items") or ()]
        metadata: dict[str, Any] = page["metadata"]
        if not metadata.get("continue"):
            return objects, str(metadata["resourceVersion"])
        query = {**first, "continue": str(metadata["continue"])}


async def watch_objects(
    client: ClusterClient,
    watched: Watched,
    since: str,
    ages: WatchAges | None = None,
    times: WatchTimes | None = None,
    *,
    doubtful: bool = False,
) -> AsyncGenerator[ObjectEvent, None]:
    """Every change after a version, which is ``doubtful`` if this server may not have given it. Raises Gone."""
    ages, times = ages or WatchAges(), times or WatchTimes()
    number, failures = ages.begin(watched), 0
    try:
        while True:
            try:
                if doubtful:
                    await _check_version(client, watched, since)
                async with aclosing(_connection(client, watched, since, times)) as events:
                    async for event in events:
                        failures, doubtful = 0, False
                        ages.heard(number)
                        since = event.object["metadata"]["resourceVersion"]
                        if event.type != "BOOKMARK":
                            yield event
                ages.heard(number)
                failures += 1  # one that is closed at once, again and again, must not be opened without a pause
            except (Unavailable, Refused) as error:
                failures, doubtful = failures + 1, True
                _log.log(logging.WARNING if failures > 1 else logging.INFO, "%s; watching again", error)
            await asyncio.sleep(times.back_off_s(failures))
    finally:
        ages.end(number)


async def _check_version(client: ClusterClient, watched: Watched, since: str) -> None:
    """A server that was restored from a backup would keep a watch from a later version waiting. Raises Gone."""
    query = {"limit": "1", "resourceVersion": since, "resourceVersionMatch": "NotOlderThan"}
    await client.get(watched.type.path(watched.namespace), str(watched), {**watched.query, **query})


async def _connection(
    client: ClusterClient, watched: Watched, since: str, times: WatchTimes
) -> AsyncGenerator[ObjectEvent, None]:
    """What one connection brings, until the server closes it. Raises Gone, and what the client raises."""
    server_s = times.server_s()
    query = {
        **watched.query,
        "watch": "1",
        "resourceVersion": since,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(server_s),
    }
    path = watched.type.path(watched.namespace)
    async with client.lines(path, str(watched), query, times.silence_s) as lines, aclosing(lines):
        async for line in lines:
            yield _event(line, watched)


def _event(line: str, watched: Watched) -> ObjectEvent:
    try:
        event = msgspec.json.decode(line)
        type_, found = str(event["type"]), event["object"]
        if type_ != "ERROR":
            return ObjectEvent(type_, _typed(found, watched.type))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ClusterError(f"{watched}: the API server sent what is no change") from None
    raise error_of(int(found.get("code") or 500), found, str(watched))


def _typed(document: KubeObject, type_: ObjectType) -> KubeObject:
    """The items of a list do not say what they are."""
    return {"apiVersion": type_.api_version, "kind": type_.kind} | document
