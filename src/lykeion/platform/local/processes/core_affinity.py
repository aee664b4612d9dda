"""Keeps processes to some of the cores. Linux only; elsewhere they use all."""

import os
from collections.abc import Collection, Generator
from contextlib import contextmanager


@contextmanager
def on_cores(cores: Collection[int]) -> Generator[None]:
    """What this thread starts meanwhile runs on these cores only: a child inherits its parent's. All if empty."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
