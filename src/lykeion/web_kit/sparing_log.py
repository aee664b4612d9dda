"""A log filter that keeps clients from filling the log."""

import logging
import time
from collections import Counter

PERIOD_S = 60.0
REPEATS = 10


class SparingLog(logging.Filter):
    """Passes REPEATS records per PERIOD_S of each kind: a line of code and a type of exception."""

    def __init__(self) -> None:
        super().__init__()
        self._since = 0.0
        self._seen: Counter[tuple[object, ...]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        if time.monotonic() - self._since > PERIOD_S:
            self._since = time.monotonic()
            self._seen.clear()
        kind = record.pathname, record.lineno, record.exc_info and record.exc_info[0]
        self._seen[kind] += 1
        if self._seen[kind] == REPEATS:
            record.msg = f"{record.msg} (more like this are left out for up to {PERIOD_S:g} s)"
        return self._seen[kind] <= REPEATS
