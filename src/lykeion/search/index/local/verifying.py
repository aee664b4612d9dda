"""Verifying that the files on disk are as they were written."""

import shutil
from contextlib import closing
from pathlib import Path

from lykeion.search.index.errors import CorruptIndex, IndexFormatError
from lykeion.search.index.local.disk.store import Store
from lykeion.search.index.segment.segment import Segment


def problems(store: Store) -> list[str]:
    """Differences between the files on disk and what was written, one line each."""
    found = store.damaged()
    for digest in sorted(store.named()):
        problems = _problems_of(store.segments / digest)
        if problems and digest in store.named():  # otherwise compaction has removed it in the meantime
            found += problems
    try:
        with closing(store.log(store.current(), store.identity())) as log:
            for _ in log.read_new():
                pass
    except CorruptIndex as error:
        found.append(str(error))
    except FileNotFoundError:
        pass  # a segment has replaced it in the meantime
    return found


def drop_damaged_kernels(store: Store, current: set[str]) -> None:
    """Remove damaged kernels from segments that only snapshots and past states need."""
    for digest in store.named() - current:
        segment = Segment(store.segments / digest)
        if segment.kernel_problems():
            shutil.rmtree(segment.path / "kernel")


def _problems_of(segment: Path) -> list[str]:
    try:
        return Segment(segment).problems()
    except (CorruptIndex, IndexFormatError) as error:
        return [str(error)]
    except OSError as error:
        return [f"{error.filename}: {error.strerror}"]
