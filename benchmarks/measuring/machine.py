"""The machine, and the memory of this process."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from lykeion.engines.running import peak_bytes, this_machine


@dataclass(frozen=True)
class Memory:
    """Bytes in main memory: ``heap`` is the process's own, ``mapped`` are pages of files, which can be dropped."""

    heap: int
    mapped: int

    @classmethod
    def now(cls) -> "Memory":
        """From Linux' accounts; elsewhere the greatest size so far stands for the heap."""
        status = Path("/proc/self/status")
        if not status.exists():
            return cls(peak_bytes(), 0)
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        heap, mapped = (int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssFile"))
        return cls(heap, mapped)

    def __sub__(self, other: "Memory") -> "Memory":
        return Memory(self.heap - other.heap, self.mapped - other.mapped)


class PeakHeap:
    """The largest heap within a ``with`` block, looked at ten times a second: ``bytes``."""

    def __enter__(self) -> "PeakHeap":
        self.bytes, self._ended = 0, threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self.bytes = max(self.bytes, Memory.now().heap)


def keep_to_one_core() -> None:
    """So that an engine that starts threads of its own has no more than one that does not (Linux)."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def describe() -> str:
    """Processor, cores and memory in one line, and how TensorFlow is made to run here, where the environment says."""
    machine = this_machine()
    facts = [machine.processor, f"{machine.cores} cores", f"{machine.memory_bytes / 2**30:.0f} GiB"]
    if threads := os.environ.get("TF_NUM_INTRAOP_THREADS"):
        facts.append(f"TensorFlow on {threads} of them")
    if "jemalloc" in os.environ.get("LD_PRELOAD", ""):
        facts.append("jemalloc")
    return ", ".join(facts)


def size_on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
