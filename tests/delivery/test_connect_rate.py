"""How many devices may connect in a second, and when the others come back."""

from dataclasses import dataclass

from lykeion.delivery.gateway.connect_rate import MOST_S, ConnectRate


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_those_who_come_back_when_they_were_told_are_admitted_in_turn() -> None:
    clock = Clock()
    rate = ConnectRate(10, clock)
    waits = [rate.take() for _ in range(100)]
    assert waits.count(0) in (10, 11)
    assert waits == sorted(waits)
    returning = sorted(clock.now + wait for wait in waits if wait)
    again = 0
    for at in returning:
        clock.now = at
        again += rate.take() > 0
    assert again <= 10  # of those that were told the same second
    assert waits[-1] <= 11


def test_one_that_asks_again_and_again_takes_no_place_from_the_others() -> None:
    clock = Clock()
    rate = ConnectRate(10, clock)
    waits = [rate.take() for _ in range(100_000)]
    assert max(waits) == MOST_S
    clock.now += 1
    assert rate.take() == 0
