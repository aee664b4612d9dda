"""The rollouts of a fleet, for the controller that moves them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from lykeion.control import Answers, ResourceStore
from lykeion.core import NotFound
from lykeion.delivery.device_service.desired import PublishedCatalogue
from lykeion.delivery.device_service.store import FleetStore
from lykeion.delivery.rollouts import (
    ROLLOUT,
    EarlierRollout,
    FleetObservation,
    FleetReports,
    OfferedVersion,
    Rollout,
    VersionOffer,
    has_ended,
)

from .fleet_observing import observe
from .followed_resources import age_of
from .index_spaces import spaces_of


def rollout_answers(
    fleet: FleetStore, catalogue: PublishedCatalogue, store: ResourceStore, indexes: Sequence[str] = ()
) -> Answers:
    """What the controller of rollouts looks up: of devices in the fleet, of rollouts in their store, as it is now.

    ``indexes`` are those that devices search; without any, versions of all embedding spaces are offered.
    """

    async def rollouts() -> Sequence[Rollout]:
        return (await store.listing(ROLLOUT)).items

    async def reports(asked: FleetReports) -> FleetObservation:
        found = next((each for each in await rollouts() if each.metadata.uid == asked.rollout_uid), None)
        if found is None:
            raise NotFound(f"there is no rollout with the uid {asked.rollout_uid}")
        return await asyncio.to_thread(observe, fleet, catalogue, found, asked.since, asked.until)

    async def offer(asked: OfferedVersion) -> VersionOffer | None:
        return await asyncio.to_thread(_offer, catalogue, asked, indexes)

    async def earlier(asked: EarlierRollout) -> str:
        return waits_for(asked.model, asked.rollout_uid, await rollouts())

    return {FleetReports: reports, OfferedVersion: offer, EarlierRollout: earlier}


def _offer(catalogue: PublishedCatalogue, asked: OfferedVersion, indexes: Sequence[str]) -> VersionOffer | None:
    found = catalogue.offer(asked.model, asked.version)
    if found and indexes and (spaces := catalogue.spaces(asked.model, asked.version)):
        return replace(found, without_index=tuple(sorted(spaces - spaces_of(indexes))))
    return found


def waits_for(model: str, uid: str, rollouts: Sequence[Rollout]) -> str:
    """The rollout that has to end before another one of the same model begins; empty if there is none.

    That is one that has begun, or else an older one that does not wait for its version.
    """
    others = [
        each
        for each in rollouts
        if each.spec.model == model and each.metadata.uid != uid and not has_ended(each.status)
    ]
    for each in others:
        if each.status.wave:
            return each.metadata.name
    ours = next((age_of(each) for each in rollouts if each.metadata.uid == uid), ("", ""))
    older = [each for each in others if age_of(each) < ours and each.status.reason != "NotPublished"]
    return min(older, key=age_of).metadata.name if older else ""
