"""How resources that run to completion begin, wait, end and are told of, and when they are due."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .completion import (
        after_end,
        deadlines,
        end_of,
        finish,
        has_finished,
        left_s,
        progress_events,
        started,
        waits_for,
        with_conditions,
        with_progress,
    )
    from .notices import Notice, next_notice, notice_of, signed_headers
    from .scheduling import decide_runs, run_name

__all__ = [
    "Notice", "after_end", "deadlines", "decide_runs", "end_of", "finish", "has_finished", "left_s", "next_notice",
    "notice_of", "progress_events", "run_name", "signed_headers", "started", "waits_for", "with_conditions",
    "with_progress",
]  # fmt: skip

__getattr__ = lazy(__name__)
