"""What do shards and idle resources cost the platform on this machine?

A batch of programs that do nothing shows what the platform adds to each shard: its time and processor. Suspended
batches, each with its Work, show how soon a platform that was killed works again, and what it uses while nothing
happens. Linux. Writes docs/benchmarks/local-platform.md. Fails if a restart takes 30 s, or rest 2 % of a core.

    python benchmarks/local_platform.py [--shards 2000] [--objects 1000]
"""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from measuring.machine import describe
from measuring.platform_job import ObjectsRun, ShardsRun, keep_objects, run_shards

ROOT = Path(__file__).parents[1]
RESTART_LIMIT_S = 30.0
IDLE_LIMIT = 0.02


@click.command(help=__doc__)
@click.option("--shards", type=click.IntRange(8), default=2000, show_default=True)
@click.option("--parallelism", type=click.IntRange(1), default=8, show_default=True, help="Shards at a time.")
@click.option("--objects", type=click.IntRange(2), default=1000, show_default=True)
@click.option("--idle", type=click.FloatRange(0, min_open=True), default=20.0, show_default=True, help="Seconds.")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "local-platform.md")
def main(shards: int, parallelism: int, objects: int, idle: float, page: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        runs = [run_shards(_home(temporary, count), count, parallelism) for count in (shards // 8, shards)]
        kept = keep_objects(_home(temporary, 0), objects, idle)
    page.write_text("\n".join(report(runs, kept, parallelism, idle)) + "\n")
    print(page.read_text())
    if kept.works_s >= RESTART_LIMIT_S or kept.idle_share >= IDLE_LIMIT:
        sys.exit("not as promised: a restart, or rest, costs too much")


def _home(temporary: str, number: int) -> Path:
    home = Path(temporary, str(number))
    home.mkdir()
    return home


def report(runs: Iterable[ShardsRun], kept: ObjectsRun, parallelism: int, idle_s: float) -> Iterator[str]:
    yield from ("# The platform on this machine", "")
    yield f"{describe()}, load {os.getloadavg()[0]:.1f}."
    yield from ("", f"Shards that run `true`, {parallelism} at a time:", "")
    yield "| shards | seconds | a second | processor of the platform, ms a shard | of the programs, ms a shard |"
    yield "|---|---|---|---|---|"
    for run in runs:
        own, programs = (1000 * each / run.shards for each in (run.cpu_s, run.programs_cpu_s))
        yield f"| {run.shards:,} | {run.seconds:.1f} | {run.shards / run.seconds:.0f} | {own:.1f} | {programs:.1f} |"
    yield ""
    yield "Each shard is recorded on disk when it starts and when it ends: most of its time is waiting for the disk."
    yield from ("", "A platform that is killed and starts again:", "")
    yield "| batches, each with its Work | answers after s | has run a new batch after s | idle, % of a core |"
    yield "|---|---|---|---|"
    share = f"{100 * kept.idle_share:.1f}"
    yield f"| {kept.objects:,} | {kept.answers_s:.1f} | {kept.works_s:.1f} | {share} |"
    yield from ("", f"Idle is measured for {idle_s:g} s, of the process alone.", "")
    yield "`python benchmarks/local_platform.py` writes this page."


if __name__ == "__main__":
    main()
