"""A device comes back by what kept it: when it was asked to, soon and then later, or at the usual time."""

import random
from itertools import pairwise

import pytest

from lykeion.core import LykeionError
from lykeion.device import RetryTimes
from lykeion.device.errors import SlotError, UpdateRefused, UpdateUnavailable
from lykeion.device.fetching.file_source import Later
from lykeion.device.updates.update_round import RoundOutcome


def outcome(*errors: LykeionError, poll_s: int = 0) -> RoundOutcome:
    made = RoundOutcome(poll_s=poll_s)
    for number, each in enumerate(errors):
        made.failed(str(number), each)
    return made


def test_a_server_that_does_not_answer_is_asked_soon_and_then_less_often_up_to_the_usual_time() -> None:
    times = RetryTimes(3_600, random.Random(1))
    assert times.after(outcome(poll_s=900)) == 900
    waits = [times.after(outcome(UpdateUnavailable("no route"))) for _ in range(12)]
    assert 24 <= waits[0] <= 36
    assert all(later >= 0.6 * sooner for sooner, later in pairwise(waits))
    assert all(720 <= each <= 1_080 for each in waits[5:])  # of what the server said, not of what it was begun with
    assert times.after(outcome(poll_s=900)) == 900
    assert times.after(outcome(UpdateUnavailable("no route"))) <= 36


def test_two_devices_that_lose_a_server_together_do_not_come_back_together() -> None:
    first, second = (RetryTimes(900, random.Random(seed)) for seed in (1, 2))
    lost = outcome(UpdateUnavailable("no route"))
    assert first.after(lost) != second.after(lost)


def test_a_busy_server_says_when() -> None:
    busy = outcome(Later("https://models.example", 77), UpdateUnavailable("no route"))
    assert RetryTimes(900).after(busy) == 77


@pytest.mark.parametrize("error", [SlotError("the disk is full"), UpdateRefused("a wrong signature")])
def test_what_a_person_has_to_mend_is_tried_at_the_usual_time(error: LykeionError) -> None:
    times = RetryTimes(900)
    assert [times.after(outcome(error)) for _ in range(3)] == [900, 900, 900]
