"""A new version comes as a delta, a package or a whole file, whichever is the smallest that works."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bsdiff4
import numpy as np
import pytest
import zstandard

from lykeion.compress import pack_file
from lykeion.core import digest_bytes
from lykeion.device.device_conditions import DeviceConditions, UpdateRules, hindrance
from lykeion.device.errors import UpdateUnavailable
from lykeion.device.fetching.download_pace import Pace
from lykeion.device.signed_target import Delta
from lykeion.device.slots.model_slots import ModelSlots
from lykeion.device.slots.slot_state import Offer, SlotState, offered
from lykeion.device.updates.model_update import ModelUpdate

from .lossy_disk import LossyDisk
from .networks import network
from .offers import Repository
from .updating import confirm, version_of

OLD, NEW = (np.random.default_rng(0).bytes(4_000) for _ in range(2))
NEW = OLD[:3_900] + b"something else" * 10


def deltas() -> dict[Delta, bytes]:
    dictionary = zstandard.ZstdCompressionDict(OLD, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    shared = np.frombuffer(NEW, np.uint8).copy()
    shared[: len(OLD)] -= np.frombuffer(OLD, np.uint8)
    files = {
        "zstd": zstandard.ZstdCompressor(dict_data=dictionary).compress(NEW),
        "subtract": zstandard.ZstdCompressor().compress(shared.tobytes()),
        "bsdiff4": bsdiff4.diff(OLD, NEW),
    }
    return {Delta(digest_bytes(OLD), method, digest_bytes(file), len(file)): file for method, file in files.items()}


def take(
    slots: ModelSlots, repository: Repository, offer: Offer, may_fetch: Callable = lambda offer: None
) -> SlotState:
    slots.change("shoes", lambda state: offered(state, offer))
    return ModelUpdate(slots, repository, lambda *_: None, Pace(), may_fetch).advance("shoes")


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def slots(repository: Repository) -> ModelSlots:
    """With the old version, confirmed."""
    slots = ModelSlots(Path("/device"), LossyDisk())
    take(slots, repository, repository.publish(1, OLD))
    confirm(slots)
    repository.asked.clear()
    return slots


@pytest.mark.parametrize("method", ["zstd", "subtract", "bsdiff4"])
def test_a_delta_is_downloaded_and_gives_the_file_that_was_signed(
    slots: ModelSlots, repository: Repository, method: str
) -> None:
    usable = {delta: file for delta, file in deltas().items() if delta.method == method}
    state = take(slots, repository, repository.publish(2, NEW, deltas=usable))
    assert version_of(state) == (2, 1)
    assert slots.load(digest_bytes(NEW)) == NEW
    assert [path.split("/")[1] for path, _ in repository.asked] == ["delta"]
    assert slots.used_bytes() == len(OLD) + len(NEW)


def test_the_smallest_of_the_deltas_to_what_is_there_is_taken(slots: ModelSlots, repository: Repository) -> None:
    made = deltas()
    smallest = min(made, key=lambda delta: delta.size_bytes)
    of_others = {replace(delta, base=digest_bytes(b"another"), digest=digest_bytes(b"x")): b"x" for delta in made}
    take(slots, repository, repository.publish(2, NEW, deltas={**of_others, **made}))
    assert [path for path, _ in repository.asked] == [f"shoes/delta/{smallest.digest.removeprefix('sha256:')}"]


def bomb(method: str) -> bytes:
    """A small delta that unpacks to very much."""
    if method == "bsdiff4":
        import bz2

        streams = [bz2.compress(bytes(size)) for size in (24, 1 << 24, 1 << 10)]
        lengths = [len(streams[0]), len(streams[1]), len(NEW)]
        return b"BSDIFF40" + b"".join(each.to_bytes(8, "little") for each in lengths) + b"".join(streams)
    return zstandard.ZstdCompressor().compress(bytes(1 << 26))


@pytest.mark.parametrize("method", ["zstd", "subtract", "bsdiff4"])
@pytest.mark.parametrize("kind", ["bomb", "another file", "damaged"])
def test_a_bomb_or_a_wrong_delta_is_given_up_for_the_whole_file(
    slots: ModelSlots, repository: Repository, method: str, kind: str
) -> None:
    right = {delta.method: file for delta, file in deltas().items()}[method]
    file = {"bomb": bomb(method), "another file": right, "damaged": right[: len(right) // 2]}[kind]
    content = NEW if kind != "another file" else NEW[:-1] + b"!"
    delta = Delta(digest_bytes(OLD), method, digest_bytes(file), min(len(file), 3_000))
    if kind == "bomb":
        delta = replace(delta, size_bytes=len(file))
    offer = repository.publish(2, content, deltas={delta: file})
    assert len(file) < len(content)
    state = take(slots, repository, offer)
    assert version_of(state) == (2, 1)
    assert slots.load(digest_bytes(content)) == content
    assert [path for path, _ in repository.asked][-1] == offer.path
    assert slots.used_bytes() == len(OLD) + len(content)


def test_a_package_is_unpacked_and_one_of_another_file_is_not_taken(
    slots: ModelSlots, repository: Repository
) -> None:
    model, other = network(1), network(2)
    for version, content in ((2, model), (3, other)):
        offer = repository.publish(version, model, packing="lykpack")
        package = pack_file(content)
        repository.served[offer.path] = package
        offer = replace(offer, size_bytes=len(package), digest=digest_bytes(package))
        slots.discard(digest_bytes(model)) if version == 3 else None
        state = take(slots, repository, offer)
        if version == 2:
            assert slots.load(digest_bytes(model)) == model
    assert "another file than the one that was signed" in state.failed[0].cause


def test_the_same_file_in_a_new_version_is_not_downloaded_again(slots: ModelSlots, repository: Repository) -> None:
    assert version_of(take(slots, repository, repository.publish(5, OLD))) == (5, 1)
    assert repository.asked == []


def test_nothing_is_downloaded_under_conditions_that_forbid_it(slots: ModelSlots, repository: Repository) -> None:
    def may_fetch(offer: Offer) -> None:
        raise UpdateUnavailable("the network is metered")

    offer = repository.publish(2, NEW)
    with pytest.raises(UpdateUnavailable, match="metered"):
        take(slots, repository, offer, may_fetch)
    assert repository.asked == []
    assert version_of(take(slots, repository, offer)) == (2, 1)


@pytest.mark.parametrize(
    ("rules", "now", "said"),
    [
        (UpdateRules(), DeviceConditions(False, False, False, 1), ""),
        (UpdateRules(unmetered=True), DeviceConditions(unmetered=False), "metered"),
        (UpdateRules(unmetered=True), DeviceConditions(), ""),
        (UpdateRules(charging=True), DeviceConditions(charging=False), "not charging"),
        (UpdateRules(idle=True), DeviceConditions(idle=False), "in use"),
        (UpdateRules(battery_percent=30), DeviceConditions(battery_percent=29), "29 %"),
        (UpdateRules(battery_percent=30), DeviceConditions(battery_percent=29, charging=True), ""),
    ],
)
def test_what_hinders_an_update_is_said(rules: UpdateRules, now: DeviceConditions, said: str) -> None:
    found = hindrance(rules, now)
    assert said in found
    assert bool(said) == bool(found)
