"""Slots of a device on any layer of files, and a version of shoes taken through an update."""

from collections.abc import Callable
from pathlib import Path

from lykeion.device.durable_files import FileLayer
from lykeion.device.fetching.download_pace import Pace
from lykeion.device.slots.model_slots import ModelSlots
from lykeion.device.slots.slot_state import CONFIRMING_RUNS, Offer, SlotState, offered, ran
from lykeion.device.updates.model_update import ModelUpdate

from .offers import Repository

HOME = Path("/device")
COMPANION = b'{"labels": []}'


def slots_on(files: FileLayer, home: Path = HOME, quota: int = 10_000) -> ModelSlots:
    return ModelSlots(home, files, quota_bytes=quota)


def update(slots: ModelSlots, repository: Repository, trying: Callable[..., object] = lambda *_: None) -> ModelUpdate:
    return ModelUpdate(slots, repository, trying, Pace())


def take(
    slots: ModelSlots, repository: Repository, offer: Offer, trying: Callable[..., object] = lambda *_: None
) -> SlotState:
    slots.change("shoes", lambda state: offered(state, offer))
    return update(slots, repository, trying).advance("shoes")


def confirm(slots: ModelSlots) -> SlotState:
    slots.start("shoes")
    for _ in range(CONFIRMING_RUNS):
        state = slots.change("shoes", ran)
    return state


def version_of(state: SlotState) -> tuple[int | None, int | None]:
    return tuple(slot and slot.offer.target.version for slot in (state.running, state.other))  # type: ignore[return-value]


def content_started(slots: ModelSlots) -> bytes | None:
    found = slots.start("shoes")
    return found and found.content
