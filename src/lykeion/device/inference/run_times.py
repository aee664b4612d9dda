"""How long an app's runs take, a hundred at a time."""

from dataclasses import dataclass, field

import numpy as np

MANY = 100


@dataclass(slots=True)
class RunTimes:
    _taken: list[float] = field(default_factory=list)

    def add(self, taken_ms: float) -> dict[str, float]:
        """Their summary after every ``MANY``, and begins again; else empty."""
        self._taken.append(taken_ms)
        if len(self._taken) < MANY:
            return {}
        p50, p90 = np.percentile(self._taken, (50, 90))
        self._taken.clear()
        return {"p50_ms": round(float(p50), 3), "p90_ms": round(float(p90), 3), "runs": MANY}
