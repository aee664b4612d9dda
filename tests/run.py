"""Run the tests: a pytest process a room, two at a time, and two of tests/e2e beside them, which wait half of their
time for servers and browsers. What a room prints is printed when it ends, whole.

TensorFlow, JAX, OpenVINO, Milvus Lite and Faiss in one process are not what anybody runs. A room is a folder or file
of tests/; tests/e2e is several. Options that are not ours are pytest's; one with a value is written as one word.
Exits with 1 if a room failed, crashed, or had no tests.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
E2E = "tests/e2e"
CLUSTER = ("cluster: Cluster", "kubernetes_cluster import", "control_plane.tools import")
"""In files of tests/e2e that need Kubernetes' programs: two rooms, which run side by side if they are asked for."""
CLUSTERS = ("test_operator_*", "test_cluster_faults", "test_two_clusters")
"""Of these, files whose clusters are their own; the others share one."""
PARTS = {
    "platform": ("test_platform*", "test_program_images"),
    "training": ("test_image_builds", "test_photo_search_loop", "test_pipelines", "test_training"),
    "services": ("test_milvus_server", "test_model_server", "test_rollouts", "test_services"),
}
"""Of tests/e2e, by room, the longest first: files that take about as long together as those of another room, of which
the last has all others."""
LONGEST = ("e2e", "cli", "search", "compress", "nets", "nas")
"""Begun first, so that none of them runs alone at the end."""
COMPILED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Without that variable, which images of containers set, no process compiles again what another one has compiled."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rooms", nargs="*", help="all by default")
    parser.add_argument("--jobs", type=int, default=2, help="rooms at a time, beside e2e")
    parser.add_argument("--kubernetes", action="store_true", help="only what needs a cluster: make test-kubernetes")
    chosen, options = parser.parse_known_args(arguments)
    rooms = rooms_of(chosen.rooms or every_path(), quick="--quick" in options)
    rooms = [room for room in rooms if room.on_kubernetes == chosen.kubernetes]
    began = time.monotonic()
    failures: list[str] = []
    with ThreadPoolExecutor(chosen.jobs) as jobs, ThreadPoolExecutor(2) as beside:
        running = {(beside if room.waits else jobs).submit(run, room, options): room.name for room in rooms}
        for number, future in enumerate(as_completed(running), 1):
            room, (code, output) = running[future], future.result()
            print(f"{output}== {number} of {len(rooms)}: {room} {verdict(code)}\n", end="", flush=True)
            if code:
                failures += [f"{room} {verdict(code)}", *named(output)]
    print(f"== {len(rooms)} rooms in {(time.monotonic() - began) / 60:.1f} minutes")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


@dataclass(frozen=True)
class Room:
    """``paths`` are given to pytest; ``waits`` is whether it needs a core for half of its time only.

    ``on_kubernetes`` are the parts of tests/e2e that need a cluster; a file of them that is named is a room as any.
    """

    name: str
    paths: tuple[str, ...]
    waits: bool = False
    on_kubernetes: bool = False


def rooms_of(paths: Sequence[str], *, quick: bool = False) -> list[Room]:
    """With ``quick``, pytest itself leaves tests/e2e out if it is named as a folder."""
    found: list[Room] = []
    for path in paths:
        found += parts_of_e2e() if path.rstrip("/") == E2E and not quick else [Room(path, (path,))]
    return found


def parts_of_e2e() -> list[Room]:
    files = set((ROOT / E2E).glob("test_*.py"))
    kubernetes = {file for file in files if any(each in file.read_text() for each in CLUSTER)}
    own = {file for file in kubernetes if _matches(file, CLUSTERS)}
    parts = {"kubernetes": kubernetes - own, "clusters": own}
    for name, patterns in PARTS.items():
        parts[name] = {file for file in files - kubernetes if _matches(file, patterns)}
    parts["others"] = files.difference(*parts.values())
    return [
        Room(f"{E2E} ({name})", _paths(found), waits=True, on_kubernetes=found <= kubernetes)
        for name, found in parts.items()
    ]


def _matches(file: Path, patterns: Sequence[str]) -> bool:
    return any(file.match(f"{each}.py") for each in patterns)


def _paths(files: Iterable[Path]) -> tuple[str, ...]:
    return tuple(sorted(str(file.relative_to(ROOT)) for file in files))


def every_path() -> list[str]:
    rooms = [path for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))]
    rooms += (ROOT / "tests").glob("test_*.py")
    order = {name: place for place, name in enumerate(LONGEST)}
    rooms.sort(key=lambda room: (order.get(room.name, len(order)), room.name))
    return [str(room.relative_to(ROOT)) for room in rooms]


def run(room: Room, options: Sequence[str]) -> tuple[int, str]:
    """The exit code, negative if a signal ended it, and what it printed."""
    print(f"== {room.name} begins\n", end="", flush=True)  # one write: other threads print too
    command = [sys.executable, "-m", "pytest", *options, *room.paths]
    done = subprocess.run(command, cwd=ROOT, env=COMPILED, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode(errors="replace")


def named(output: str) -> list[str]:
    """The lines of pytest's summary that name a failure."""
    return [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]


def verdict(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return {0: "passed", 1: "failed", 5: "has no tests"}.get(code, f"ended with exit code {code}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
