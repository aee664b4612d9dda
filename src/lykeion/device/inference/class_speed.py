"""Whether a version runs here as fast as its class of devices was measured: the fastest of a few runs on noise, in a
process that does nothing else, beside the fastest of the class' bench report."""

from collections.abc import Callable
from dataclasses import dataclass

from lykeion.device.signed_target import SignedTarget

SLOWER = 1.5
"""From so many times the class' time on a device is slow. A rollout's rule can be stricter: ``p90_ms > 40``."""
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ClassSpeed:
    """``class_ms`` is 0 where the target does not say what was measured."""

    run_ms: float
    class_ms: float

    @property
    def slow(self) -> bool:
        return 0 < SLOWER * self.class_ms < self.run_ms

    def __str__(self) -> str:
        if not self.class_ms:
            return f"{self.run_ms:.3g} ms a run; nothing says what its class was measured at"
        return f"{self.run_ms:.3g} ms a run, {self.run_ms / self.class_ms:.2g} times what its class was measured at"


def class_speed(target: SignedTarget, run_ms: float, again: Callable[[], float]) -> ClassSpeed:
    """Of a measurement that was slow, the best of a few: other work on the device may have slowed one down."""
    found = ClassSpeed(run_ms, target.latency_us / 1_000)
    for _ in range(ATTEMPTS - 1):
        if found.slow:
            found = ClassSpeed(min(found.run_ms, again()), found.class_ms)
    return found
