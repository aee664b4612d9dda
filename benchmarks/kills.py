"""Is anything lost by kill -9? Writers of index, model store, delivery and devices, killed again and again.

The programs that the tests run a few times, with many more rounds. They stop at the first loss. Writes
docs/benchmarks/kills.md.

    python benchmarks/kills.py [--rounds 250]
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from measuring.machine import describe

ROOT = Path(__file__).parents[1]
WRITERS = ("one thread", "several threads", "compaction", "snapshots", "columns")
HEAD = """# Kill -9

Writers are begun, and killed at a random moment; then what they acknowledged must be there, and what they did not
must be there completely or not at all. Delivery's commands are killed before each of their acts on files; then
a client of python-tuf must read the state before or after, and the same command must succeed. A device is killed
before each of its changes of files in updates; then it must have a version that was verified, and go on. {machine}.

| writer | kills | acknowledged writes | lost |
|---|---:|---:|---:|
"""


@click.command()
@click.option(
    "--rounds", type=click.IntRange(1), default=250, show_default=True, help="Kills of each kind of writer."
)
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "kills.md")
def main(rounds: int, page: Path) -> None:
    rows = []
    for writer in WRITERS:
        acknowledged = ran("tests.search.index.local.crash_rounds", rounds, writer)
        rows.append(f"| index, {writer} | {rounds:,} | {acknowledged:,} | 0 |\n")
        print(rows[-1], end="")
    killed = ran("tests.registry.crash_rounds", 3 * rounds)
    rows += [f"| model store, {kind} | {kills:,} | | 0 |\n" for kind, kills in killed.items()]
    ended = ran("tests.delivery.crash_rounds", 1)
    rows += [f"| delivery, {command} | {kills:,} | | 0 |\n" for command, kills in ended.items()]
    updated = ran("tests.device.crash_rounds", max(1, rounds // 50))
    rows += [f"| device, {what} | {kills:,} | | 0 |\n" for what, kills in updated.items()]
    page.write_text(
        HEAD.format(machine=describe()) + "".join(rows) + "\n`python benchmarks/kills.py` writes this page.\n"
    )


def ran(module: str, rounds: int, *arguments: str) -> Any:
    """What the program printed as its last line, as JSON."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", module, directory, str(rounds), *arguments]
        printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(printed.splitlines()[-1])


if __name__ == "__main__":
    main()
