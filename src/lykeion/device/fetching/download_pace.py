"""How quickly a download may go, and how slowly it must not: a bandwidth for the device, and a bound against a server
that keeps it waiting for ever."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lykeion.device.errors import UpdateUnavailable

PATIENCE_S = 30.0


@dataclass(slots=True)
class Pace:
    """``limit_bytes_s`` is the bandwidth, 0 for none. A download of which fewer than ``least_bytes_s`` arrive on
    average, its first PATIENCE_S apart, is ended; its own pauses do not count."""

    limit_bytes_s: int = 0
    least_bytes_s: int = 1 << 10
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep
    _began: float = field(default=-1.0, init=False)
    _paused_s: float = field(default=0.0, init=False)
    _bytes: int = field(default=0, init=False)

    def begin(self) -> None:
        """A download begins."""
        self._began, self._paused_s, self._bytes = self.clock(), 0.0, 0

    def arrived(self, count: int) -> None:
        """So many bytes have arrived: pause as the bandwidth demands. Raises UpdateUnavailable if it is too slow."""
        self._bytes += count
        taken = self.clock() - self._began
        waited = taken - self._paused_s - PATIENCE_S
        if waited > 0 and self._bytes < waited * self.least_bytes_s:
            raise UpdateUnavailable(
                f"the download is slower than {self.least_bytes_s:,} bytes a second; it is resumed later"
            )
        if self.limit_bytes_s and (pause := self._bytes / self.limit_bytes_s - taken) > 0:
            self.sleep(pause)
            self._paused_s += pause
