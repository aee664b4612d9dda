"""What runs on a device, whatever happens: a version that was verified, and the last good one stays."""

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import digest_bytes
from lykeion.device.errors import SlotError, UpdateRefused
from lykeion.device.signed_target import ModelLimits
from lykeion.device.slots.model_slots import ModelSlots, NoSpace
from lykeion.device.slots.slot_state import (
    CONFIRMING_RUNS,
    MAX_STARTS,
    Offer,
    SlotState,
    limited,
    offered,
    ran,
    read_state,
    started,
    stepped,
)
from lykeion.litert import ModelError

from .crash_rounds import MODELS, kill_at_every_change, scenario
from .lossy_disk import LossyDisk
from .offers import Repository, model_bytes
from .updating import COMPANION, HOME, confirm, content_started, slots_on, take, update, version_of


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def slots() -> ModelSlots:
    return slots_on(LossyDisk())


def test_a_version_is_downloaded_verified_tried_active_and_after_some_runs_confirmed(
    slots: ModelSlots, repository: Repository
) -> None:
    offer = repository.publish(1, companion=COMPANION)
    steps: list[str] = []

    def trying(offer: Offer, content: bytes, companion: bytes) -> None:
        steps.append(slots.state("shoes").coming.step)  # type: ignore[union-attr]
        assert (content, companion) == (model_bytes(1), COMPANION)

    state = take(slots, repository, offer, trying)
    assert steps == ["verified"]
    assert state.running
    assert state.running.step == "active"
    begun = slots.start("shoes")
    assert begun
    assert (begun.content, begun.companion, begun.confirmed) == (model_bytes(1), COMPANION, False)
    for _ in range(CONFIRMING_RUNS - 1):
        state = slots.change("shoes", ran)
        assert state.last_good is None
    state = slots.change("shoes", ran)
    assert state.last_good is state.running


def test_an_app_that_never_confirms_falls_back_after_three_starts(slots: ModelSlots, repository: Repository) -> None:
    take(slots, repository, repository.publish(1))
    confirm(slots)
    bad = repository.publish(2)
    take(slots, repository, bad)
    for _ in range(MAX_STARTS):
        assert content_started(slots) == model_bytes(2)
    assert content_started(slots) == model_bytes(1)
    state = take(slots, repository, bad)
    assert version_of(state) == (1, None)
    assert "3 starts" in state.failed[0].cause


def test_with_nothing_to_fall_back_to_a_device_has_no_model_rather_than_one_that_ends_its_app(
    slots: ModelSlots, repository: Repository
) -> None:
    take(slots, repository, repository.publish(1))
    assert [content_started(slots) for _ in range(MAX_STARTS + 1)] == [*[model_bytes(1)] * MAX_STARTS, None]


def test_a_version_that_fails_its_trial_is_never_active_and_not_taken_again(
    slots: ModelSlots, repository: Repository
) -> None:
    take(slots, repository, repository.publish(1))
    confirm(slots)
    bad, tries = repository.publish(2), []

    def trying(*given: object) -> None:
        tries.append(given)
        raise ModelError("shoes: the model crashes LiteRT (SIGSEGV)")

    for _ in range(2):
        state = take(slots, repository, bad, trying)
    assert len(tries) == 1
    assert version_of(state) == (1, None)
    assert "SIGSEGV" in state.failed[0].cause
    assert content_started(slots) == model_bytes(1)


def test_the_version_before_is_taken_back_without_a_download(slots: ModelSlots, repository: Repository) -> None:
    first, second = repository.publish(1), repository.publish(2)
    take(slots, repository, first)
    confirm(slots)
    take(slots, repository, second)
    confirm(slots)
    repository.served.clear()
    assert version_of(take(slots, repository, first)) == (1, 2)
    assert content_started(slots) == model_bytes(1)


def test_a_third_version_never_takes_the_slot_of_the_last_good_one(slots: ModelSlots, repository: Repository) -> None:
    take(slots, repository, repository.publish(1))
    confirm(slots)
    take(slots, repository, repository.publish(2))  # active, not confirmed
    slots.change("shoes", lambda state: offered(state, repository.publish(3)))
    assert version_of(slots.state("shoes")) == (1, 3)
    assert content_started(slots) == model_bytes(1)


def test_what_limits_forbid_does_not_run_even_if_it_is_there(slots: ModelSlots, repository: Repository) -> None:
    take(slots, repository, repository.publish(1))
    confirm(slots)
    take(slots, repository, repository.publish(2))
    revoked = ModelLimits("shoes", revoked=(digest_bytes(model_bytes(2)),))
    assert version_of(slots.change("shoes", lambda state: limited(state, revoked))) == (1, None)
    assert version_of(slots.change("shoes", lambda state: limited(state, ModelLimits("shoes", minimum=2)))) == (
        None,
        None,
    )


def test_a_damaged_file_is_not_run_and_is_fetched_again(slots: ModelSlots, repository: Repository) -> None:
    first, second = repository.publish(1), repository.publish(2)
    take(slots, repository, first)
    confirm(slots)
    take(slots, repository, second)
    confirm(slots)
    path = slots.home / "files" / second.digest.removeprefix("sha256:")
    slots.files.write(path, b"rotten")
    assert content_started(slots) == model_bytes(1)


def test_a_full_disk_and_a_small_quota_keep_the_old_one(repository: Repository) -> None:
    disk = LossyDisk()
    for slots in (slots_on(disk), slots_on(disk, quota=900)):
        take(slots, repository, repository.publish(1))
        confirm(slots)
    large = repository.publish(9, model_bytes(9, 600))
    with pytest.raises(NoSpace, match="present one stays"):
        take(slots_on(disk, quota=900), repository, large)
    disk.free = 16 << 20
    with pytest.raises(NoSpace):
        take(slots_on(disk), repository, large)
    assert content_started(slots_on(disk)) == model_bytes(1)
    disk.free = 1 << 40
    assert version_of(take(slots_on(disk), repository, large)) == (9, 1)


def test_the_quota_evicts_what_no_slot_needs_and_nothing_else(repository: Repository) -> None:
    slots = slots_on(LossyDisk(), quota=900)
    for version in range(1, 8):
        take(slots, repository, repository.publish(version))
        confirm(slots)
        assert slots.used_bytes() <= 900
        assert slots.has(digest_bytes(model_bytes(version)))
        assert version == 1 or slots.has(digest_bytes(model_bytes(version - 1)))
    assert not slots.has(digest_bytes(model_bytes(1)))


WHOLE = LossyDisk()
scenario(slots_on(WHOLE), Repository())
FIRST = next(
    number
    for number in range(len(WHOLE.log) + 1)
    if (running := slots_on(WHOLE.after_power_loss(number, lambda: 0.0)).state("shoes").running)
    and running.step == "confirmed"
)
"""So many changes until the first version is confirmed, durably."""


@given(st.integers(0, len(WHOLE.log)), st.integers(0, 1 << 30))
def test_after_a_loss_of_power_a_device_starts_with_a_verified_model_and_goes_on(cut: int, seed: int) -> None:
    share = partial(random.Random(seed).choice, (0.0, 0.0, 0.5, 1.0) if seed % 2 else (0.0, 1.0, 1.0))
    disk = WHOLE.after_power_loss(cut, share)
    content = content_started(slots_on(disk))
    assert content in MODELS or (content is None and cut < FIRST)
    scenario(slots_on(disk), Repository())
    assert content_started(slots_on(disk)) == model_bytes(3)


@pytest.mark.slow
def test_killed_at_every_change_of_an_update_a_device_starts_with_a_verified_model(tmp_path: Path) -> None:
    assert kill_at_every_change(tmp_path, step=3) > 50


OFFERS = st.integers(1, 4).map(lambda version: Repository().publish(version))


@given(
    st.lists(
        st.one_of(
            OFFERS.map(lambda offer: lambda state: offered(state, offer)),
            st.sampled_from(["downloaded", "verified", "tried", "active"]).map(
                lambda step: partial(stepped, step=step)
            ),
            st.just(started),
            st.just(partial(ran, confirming_runs=2)),
        ),
        max_size=40,
    )
)
def test_whatever_happens_once_a_version_was_confirmed_there_is_one_that_runs_or_is_fallen_back_to(
    changes: list[Callable[[SlotState], SlotState]],
) -> None:
    state, confirmed = SlotState(), False
    for change in changes:
        state = change(state)
        confirmed |= bool(state.running and state.running.step == "confirmed")
        assert state.running is not None or not confirmed
        assert state.last_good is not None or not confirmed
        assert read_state(state.to_json(), "here") == state


def test_a_pointer_file_that_is_damaged_is_an_error_of_one_line(slots: ModelSlots, repository: Repository) -> None:
    take(slots, repository, repository.publish(1))
    slots.files.write(HOME / "models" / "shoes.json", b'{"schema": 1, "running": 3}')
    with pytest.raises(SlotError, match=r"shoes\.json") as caught:
        slots.state("shoes")
    assert "\n" not in str(caught.value)


def test_a_wrong_download_is_refused_and_nothing_of_it_stays(slots: ModelSlots, repository: Repository) -> None:
    offer = repository.publish(1)
    repository.served[offer.path] = bytes(200)
    with pytest.raises(UpdateRefused, match="not the file"):
        take(slots, repository, offer)
    assert slots.used_bytes() == 0
    repository.served[offer.path] = model_bytes(1)
    assert version_of(update(slots, repository).advance("shoes")) == (1, None)
