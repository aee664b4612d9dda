"""Is anything lost by kill -9? Writers of index, model store, delivery and devices, killed again and again.

The programs that the tests run a few times, with many more rounds. They stop at the first loss. What has been done is
kept, a few rounds at a time: interrupted, the same command goes on. Writes docs/benchmarks/kills.md.

    python benchmarks/kills.py [--rounds 250]
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from measuring.machine import describe

from lykeion.core import write_atomically

ROOT = Path(__file__).parents[1]
PARTS = 10
INDEX_WRITERS = ("one thread", "several threads", "compaction", "snapshots", "columns")
HEAD = """# Kill -9

Writers are begun, and killed at a random moment; then what they acknowledged must be there, and what they did not
must be there completely or not at all. Delivery's commands are killed before each of their acts on files; then
a client of python-tuf must read the state before or after, and the same command must succeed. Each change of files
in a device's updates is made by a process that is killed then, and a process that goes on from there is killed at a
random change; then there must be a version that was verified, and the next process comes to the last one. {machine}.

| writer | kills | acknowledged writes | lost |
|---|---:|---:|---:|
"""


@dataclass(frozen=True)
class Writer:
    """``module`` is run for ``rounds`` rounds in all, ``at_once`` at a time, and prints its kills by kind; or, of a
    kind of writer of an ``index``, the writes that were acknowledged. It is told how many rounds were before, for
    other random numbers; or, of ``parts``, which of them it is to do: its steps are divided among so many."""

    name: str
    module: str
    rounds: int
    at_once: int
    index: str = ""
    parts: int = 0


def writers(rounds: int) -> Iterator[Writer]:
    for kind in INDEX_WRITERS:
        yield Writer("index", "tests.search.index.local.crash_rounds", rounds, 50, kind)
    yield Writer("model store", "tests.registry.crash_rounds", 3 * rounds, 150)
    yield Writer("delivery", "tests.delivery.crash_rounds", min(PARTS, rounds), 1, parts=PARTS)
    yield Writer("device", "tests.device.crash_rounds", max(1, 2 * rounds // 5), 5)


@click.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=250, show_default=True, help="Kills of each kind of writer."
)
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / "build" / "bench" / "kills")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "kills.md")
def main(rounds: int, work: Path, page: Path) -> None:
    rows = [row for writer in writers(rounds) for row in rows_of(writer, work)]
    page.write_text(
        HEAD.format(machine=describe()) + "".join(rows) + "\n`python benchmarks/kills.py` writes this page.\n"
    )


def rows_of(writer: Writer, work: Path) -> list[str]:
    """Runs what of its rounds is not in ``work`` yet."""
    kept = work / f"{writer.name}-{writer.index or 'all'}.json".replace(" ", "-")
    state = json.loads(kept.read_bytes()) if kept.exists() else {"rounds": 0, "counts": {}}
    counts, done = Counter(state["counts"]), min(state["rounds"], writer.rounds)
    if state["rounds"] > writer.rounds:
        raise click.ClickException(f"{kept} has {state['rounds']} rounds; remove it for fewer")
    while done < writer.rounds:
        some, began = min(writer.at_once, writer.rounds - done), time.monotonic()
        counts += ran(writer, some, done)
        done += some
        work.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps({"rounds": done, "counts": counts}).encode())
        seconds = time.monotonic() - began
        print(
            f"{writer.name}, {writer.index or 'all'}: {done:,} of {writer.rounds:,} rounds, {seconds:.0f} s",
            flush=True,
        )
    if writer.index:
        return [f"| index, {writer.index} | {done:,} | {counts['acknowledged']:,} | 0 |\n"]
    return [f"| {writer.name}, {kind} | {kills:,} | | 0 |\n" for kind, kills in counts.items()]


def ran(writer: Writer, rounds: int, before: int) -> Counter[str]:
    """What the program printed as its last line: kills by kind, or acknowledged writes."""
    with tempfile.TemporaryDirectory() as directory:
        kind = (writer.index,) if writer.index else ()
        command = [sys.executable, "-m", writer.module, directory, str(writer.parts or rounds), *kind, str(before)]
        printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    found = json.loads(printed.splitlines()[-1])
    return Counter({"acknowledged": found} if writer.index else found)


if __name__ == "__main__":
    main()
