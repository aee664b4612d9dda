"""Energy of a run: measured by the processor's counters if they can be read, else modelled, and labelled as such.

The model uses the figures of M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014,
for 45 nm at .9 V: every constant is read once from DRAM; every operator reads its inputs from, and writes its output
to, an SRAM of 1 MB. It is meant to compare networks, not to predict battery life. The counters are those of RAPL, for
the whole processor, including any other work.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["float32", "int8"]

MULTIPLY_ADD_PJ = {"float32": 3.7 + 0.9, "int8": 0.2 + 0.1}
"""A multiplication and an addition; 8-bit products are added in 32 bits."""

SRAM_PJ_PER_BYTE = 100 / 8
"""64 bits from 1 MB of SRAM take 100 pJ."""

DRAM_PJ_PER_BYTE = 1300 / 8
"""64 bits from DRAM take 1.3 to 2.6 nJ; the lower end is used."""

_POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Energy:
    """Modelled energy in microjoules per photo: for multiply-adds, weights from DRAM, and activations in SRAM."""

    compute_uj: float
    weights_uj: float
    activations_uj: float

    @property
    def total_uj(self) -> float:
        return self.compute_uj + self.weights_uj + self.activations_uj


def modelled(multiply_adds: int, constant_bytes: int, moved_bytes: int, precision: Precision) -> Energy:
    """``precision`` is that of the multiply-adds."""
    return Energy(
        multiply_adds * MULTIPLY_ADD_PJ[precision] / 1e6,
        constant_bytes * DRAM_PJ_PER_BYTE / 1e6,
        moved_bytes * SRAM_PJ_PER_BYTE / 1e6,
    )


class Rapl:
    """The energy counters of all processor packages (Linux; by default only root may read them)."""

    def __init__(self, root: Path = _POWERCAP) -> None:
        # intel-rapl:0 is a package, also on AMD; intel-rapl:0:0 is a part of it.
        self._packages = sorted(path for path in root.glob("intel-rapl:*") if path.name.count(":") == 1)

    @property
    def readable(self) -> bool:
        try:
            return bool(self._read())
        except (OSError, ValueError):
            return False

    def measure_uj(self, run: Callable[[], object], seconds: float) -> float:
        """Microjoules per run, over runs that last this long in total. Raises OSError, ValueError."""
        before, runs, end = self._read(), 0, time.perf_counter() + seconds
        while not runs or time.perf_counter() < end:
            run()
            runs += 1
        return (
            sum((now - then) % (wraps + 1) for (now, wraps), (then, _) in zip(self._read(), before, strict=True))
            / runs
        )

    def _read(self) -> list[tuple[int, int]]:
        """For each package, the counter in µJ and the value at which it wraps."""
        return [
            (int((package / "energy_uj").read_text()), int((package / "max_energy_range_uj").read_text()))
            for package in self._packages
        ]
