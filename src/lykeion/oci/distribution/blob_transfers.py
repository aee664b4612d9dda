"""Concurrent transfers of blobs with one progress bar; Ctrl-C ends them."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from lykeion.core import Reporter

PARALLEL = 4


class _Stopped(Exception):
    """Another transfer failed, or the user interrupted."""


def transfer(
    title: str, size_bytes: int, jobs: Iterable[Callable[[Callable[[int], None]], None]], reporter: Reporter
) -> None:
    """Run jobs, PARALLEL at a time; each is passed a function to call with the number of bytes transferred.

    The first failure ends the others and is raised.
    """
    lock, stop = threading.Lock(), threading.Event()
    with reporter.progress(title, size_bytes, unit="bytes") as progress:

        def advance(count: int) -> None:
            if stop.is_set():
                raise _Stopped
            with lock:
                progress.advance(count)

        with ThreadPoolExecutor(PARALLEL) as pool:
            futures = [pool.submit(job, advance) for job in jobs]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
    failures = [error for future in futures if not future.cancelled() and (error := future.exception())]
    if failures:
        raise next((error for error in failures if not isinstance(error, _Stopped)), failures[0])
