"""All devices that are connected to this gateway: who they are, what they are told when it changes."""

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lykeion import device
from lykeion.core import LykeionError, Unavailable, first_line
from lykeion.delivery.device_service import (
    DeviceAdmission,
    FleetParts,
    FleetStore,
    NoSuchDevice,
    NotADevice,
    desired_state,
    one_device,
)
from lykeion.delivery.device_sessions import (
    MAX_GROUP_NAME,
    Broadcast,
    broadcasts_after,
    commands_since,
    group_ends,
    keep_presences,
)
from lykeion.device.conversation import spread_s

from .device_connection import STUCK_S, DeviceConnection, Link
from .gateway_metrics import GatewayMetrics
from .group_broadcasts import GroupBroadcasts
from .hub_parts import HubParts, Queries
from .message_inbox import MessageInbox
from .session_writer import SessionWriter

LOOK_S = 0.5
"""How often the store is looked at for what others have written."""
SWEEP_S = 60.0
"""How often it is looked at for all devices, whatever woke the gateway."""
LATE_S = 10.0
"""A command may be on disk so much later than its time says: another was made after it, or by another clock."""
HELLO_S = 30.0
"""A device that says no hello for so long is disconnected."""
AT_ONCE = 200
EVERYBODY = "all"

_log = logging.getLogger("lykeion.delivery")
_A_DEVICE = "d-" + 16 * "_"
"""The name of any, for SQL."""


class DeviceHub:
    """``store`` is for reading. Made in the event loop."""

    def __init__(self, parts: FleetParts, store: FleetStore, commit: SessionWriter, queries: Queries) -> None:
        self._fleet, self._store = parts, store
        self.connections: dict[str, DeviceConnection] = {}
        self._all: set[DeviceConnection] = set()
        self._opening: dict[str, tuple[DeviceConnection, float]] = {}
        """By device the one that has no welcome yet, and since when: one of each, however often it connects."""
        self.metrics = GatewayMetrics(lambda: len(self.connections), lambda: commit.waiting)
        self._broadcasts = GroupBroadcasts()
        self._unsure: dict[str, None] = {}
        """Devices whose desired state may be another now, in order."""
        self._wake, self._noticed = asyncio.Event(), asyncio.Event()
        self._seen: Any = None
        self._audited = self._commanded = parts.clock()
        self.parts = HubParts(
            name=secrets.token_hex(8),
            commit=commit,
            inbox=MessageInbox(commit, self.metrics, parts.clock),
            metrics=self.metrics,
            broadcasts=self._broadcasts,
            presences={},
            queries=queries,
            clock=parts.clock,
            welcomed=self._welcomed,
            reported=self._reported,
            ended=self._ended,
        )

    def open(self, name: str, attributes: Mapping[str, Any], expires: float, link: Link) -> DeviceConnection:
        made = DeviceConnection(self.parts, name, groups_of(attributes), expires, link)
        if name in self._opening:
            self._opening[name][0].close("another connection was opened", "replaced")
        self._all.add(made)
        self._opening[name] = made, asyncio.get_running_loop().time()
        return made

    async def run(self) -> None:
        chance = random.SystemRandom()
        sweep_at = self._fleet.clock() + spread_s(SWEEP_S, chance)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_desired())
            while True:
                try:
                    await self._look()
                except Unavailable:  # such as rollouts that have not been read yet; it is looked again in a moment
                    pass
                except (LykeionError, OSError) as error:
                    _log.warning("%s", first_line(error))
                self._end_stuck()
                self._keep_presences()
                if self._fleet.clock() >= sweep_at:
                    sweep_at = self._fleet.clock() + spread_s(SWEEP_S, chance)
                    await self._sweep()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(spread_s(LOOK_S, chance)):
                        await self._noticed.wait()
                self._noticed.clear()

    def look_soon(self) -> None:
        """Something was written, perhaps."""
        self._noticed.set()

    def end_all(self, why: str, spread: float) -> None:
        """Each device is told to come back at another time within ``spread`` seconds."""
        chance = random.SystemRandom()
        for each in list(self._all):
            each.close(why, "stop", after_s=round(chance.uniform(0, spread)))

    async def load_broadcasts(self) -> None:
        self._add(await asyncio.to_thread(self._new_broadcasts, self._last()))

    async def _look(self) -> None:
        """For broadcasts, commands and changes that anybody has written."""
        (commanded, devices), broadcasts = await asyncio.to_thread(self._read, self._last())
        if broadcasts:
            self._add(broadcasts)
            await self._each(self.connections.values(), DeviceConnection.flush)
        self._commanded = commanded
        for name in devices & self.connections.keys():
            self.connections[name].give()
        if await asyncio.to_thread(self._has_changed):
            self._doubt(self.connections)

    def _read(self, last: Mapping[str, int]) -> tuple[tuple[float, set[str]], list[Broadcast]]:
        commanded, devices = commands_since(self._store, self._commanded - LATE_S)
        return (max(self._commanded, commanded), devices), self._new_broadcasts(last)

    def _new_broadcasts(self, last: Mapping[str, int]) -> list[Broadcast]:
        """Those that are kept after the ``last`` of each group."""
        ends = group_ends(self._store).items()
        return [
            each
            for group, (first, end) in ends
            if end > last.get(group, 0)
            for each in broadcasts_after(self._store, group, max(first - 1, last.get(group, 0)))
        ]

    def _last(self) -> Mapping[str, int]:
        return {group: self._broadcasts.last(group) for group in self._broadcasts.groups()}

    def _add(self, broadcasts: Iterable[Broadcast]) -> None:
        for each in broadcasts:
            self._broadcasts.add(each)

    def _has_changed(self) -> bool:
        """Whether anything that decides what devices run has changed: rollouts, what is published, pins, flags."""
        moving = (*self._fleet.rollouts(), *self._fleet.experiments())
        rollouts = tuple((each.metadata.uid, each.metadata.resource_version) for each in moving)
        models = self._fleet.catalogue.models()
        rows = self._store.rows(
            f"SELECT max(at) AS at FROM audit WHERE at > ? AND who NOT LIKE '{_A_DEVICE}'",  # noqa: S608
            (self._audited,),
        )
        at = rows[0]["at"] or self._audited
        seen = rollouts, id(models), at
        changed = self._seen is not None and seen != self._seen
        self._seen, self._models, self._audited = seen, models, at
        return changed

    async def _sweep(self) -> None:
        """What a wake-up that was lost would have brought, and credentials that have expired."""
        now = self._fleet.clock()
        for each in list(self.connections.values()):
            if each.expires <= now:
                each.close("the credential has expired; renew it", "expired")
        await self._each(list(self.connections.values()), DeviceConnection.give)
        self._doubt(self.connections)

    def _keep_presences(self) -> None:
        """Those that were said since the last look, of each device the last."""
        if said := dict(self.parts.presences):
            self.parts.presences.clear()
            at = self._fleet.clock()
            self.parts.commit.put(lambda now: keep_presences(now, said, at), lambda _: None)

    def _end_stuck(self) -> None:
        now = asyncio.get_running_loop().time()
        for each in list(self._all):
            if each.stuck_for(now) > STUCK_S:
                each.close(f"the device has read nothing for {STUCK_S:.0f} s", "slow")
        for each, since in list(self._opening.values()):
            if not each.greeted and now - since > HELLO_S:
                each.close(f"no hello came for {HELLO_S:.0f} s", "silent")

    async def _each(self, connections: Iterable[DeviceConnection], call: Any) -> None:
        for place, each in enumerate(list(connections)):
            call(each)
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)

    def _doubt(self, names: Iterable[str]) -> None:
        self._unsure.update(dict.fromkeys(names))
        self._wake.set()

    async def _tell_desired(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._unsure:
                names = list(self._unsure)[:AT_ONCE]
                try:
                    found = await asyncio.to_thread(self._desired, names)
                except Unavailable:  # such as rollouts that have not been read yet
                    await asyncio.sleep(LOOK_S)
                    continue
                for name in names:
                    self._unsure.pop(name, None)
                for name, desired in found.items():
                    if connection := self.connections.get(name):
                        if isinstance(desired, str):
                            connection.close(desired, "revoked")
                        else:
                            connection.desire(desired)

    def _desired(self, names: Sequence[str]) -> dict[str, dict[str, Any] | str]:
        """What each is to run, or why it is no device any longer. Raises Unavailable."""
        rollouts, experiments = self._fleet.rollouts(), self._fleet.experiments()
        found: dict[str, dict[str, Any] | str] = {}
        for name in names:
            try:
                record = one_device(self._store, name)
                if record.state in ("revoked", "decommissioned"):
                    found[name] = f"this device is {record.state}"
                else:
                    fleet = self._fleet
                    now, flags = fleet.clock(), fleet.flags
                    found[name] = device.to_plain(
                        desired_state(fleet.fleet, record, fleet.catalogue, rollouts, now, flags, experiments)
                    )
            except NoSuchDevice as error:
                found[name] = str(error)
            except Unavailable:
                raise
            except LykeionError:
                continue
            except Exception as error:  # of this device's attributes, perhaps: the others are told theirs
                _log.error("%s cannot be told what to run: %s: %s", name, type(error).__name__, first_line(error))
        return found

    def _welcomed(self, connection: DeviceConnection) -> None:
        self._opened(connection)
        before = self.connections.get(connection.device)
        self.connections[connection.device] = connection
        if before and before is not connection:
            before.close("another connection has this session", "replaced")
        self._doubt((connection.device,))

    def _reported(self, connection: DeviceConnection) -> None:
        self._doubt((connection.device,))

    def _ended(self, connection: DeviceConnection) -> None:
        self._all.discard(connection)
        self._opened(connection)
        if self.connections.get(connection.device) is connection:
            del self.connections[connection.device]
        self.parts.queries.cancel(connection)

    def _opened(self, connection: DeviceConnection) -> None:
        if self._opening.get(connection.device, (None,))[0] is connection:
            del self._opening[connection.device]


def groups_of(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Every device is in ``all``, and in those that its attribute ``groups`` names, separated by commas. A name
    that no group can have is left out: no device could read a welcome with it."""
    named = attributes.get("groups", "")
    names = [each.strip() for each in named.split(",")] if isinstance(named, str) else []
    return (
        EVERYBODY,
        *dict.fromkeys(each for each in names if each != EVERYBODY and 0 < len(each) <= MAX_GROUP_NAME),
    )[:16]


def known_device(admission: DeviceAdmission, token: str) -> tuple[str, float]:
    """Raises NotADevice."""
    if not token:
        raise NotADevice("a credential is needed: send Authorization: Bearer CREDENTIAL")
    if not token.isascii():  # it may hold bytes that are no text, which have no digest
        raise NotADevice("the credential is not valid: it has other letters than those that are given")
    return admission.holder_of(token)
