"""What do many idle resources cost the operator, and how soon does it work again after a kill?

Suspended trainings, each with its Job and its claim, on the control plane of the tests: no child may be made twice
and no status be lost. Linux, root and Go, as for the tests on Kubernetes. Writes docs/benchmarks/cluster-objects.md.
Fails if a restart takes 30 s, or rest 2 % of a core.

    python benchmarks/cluster_objects.py [--objects 1000]
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from measuring.machine import describe

ROOT = Path(__file__).parents[1]
RESTART_LIMIT_S = 30.0
IDLE_LIMIT = 0.02


@click.command(help=__doc__)
@click.option("--objects", type=click.IntRange(2), multiple=True, default=(100, 1000), show_default=True)
@click.option("--idle", type=click.FloatRange(0, min_open=True), default=120.0, show_default=True, help="Seconds.")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "cluster-objects.md")
def main(objects: tuple[int, ...], idle: float, page: Path) -> None:
    runs = [_run(each, idle) for each in objects]
    page.write_text("\n".join(report(runs, idle)) + "\n")
    print(page.read_text())
    if any(each["restart_s"] >= RESTART_LIMIT_S or each["idle_share"] >= IDLE_LIMIT for each in runs):
        sys.exit("not as promised: a restart, or rest, costs too much")


def _run(objects: int, idle_s: float) -> Mapping[str, Any]:
    """What the program printed as its last line."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tests.e2e.cluster_objects", directory, str(objects), str(idle_s)]
        printed = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    return json.loads(printed.splitlines()[-1])


def report(runs: list[Mapping[str, Any]], idle_s: float) -> Iterator[str]:
    yield from ("# Many resources in a cluster", "")
    yield f"{describe()}, load {os.getloadavg()[0]:.1f}. The API server, etcd and the controllers share the machine."
    yield from (
        "",
        "Suspended trainings, each with its Job and its claim; then the operator is killed, and started again:",
    )
    yield ""
    yield "| trainings | all made, s | writes | looked at again, s | its processor, s | a new one has run, s | MB |"
    yield "|---|---|---|---|---|---|---|"
    for run in runs:
        made = f"{run['converged_s']:.0f} | {run['writes']:,}"
        again = f"{run['restart_s']:.1f} | {run['restart_cpu_s']:.1f} | {run['works_s']:.1f} | {run['memory_mb']:.0f}"
        yield f"| {run['objects']:,} | {made} | {again} |"
    yield from (
        "",
        "After the kill the next one waits until the Lease is over, and asks 50 times a second at the most.",
    )
    yield from ("", f"At rest, for {idle_s:g} s:", "")
    yield "| trainings | % of a core | requests a minute | of these |"
    yield "|---|---|---|---|"
    for run in runs:
        requests: dict[str, float] = run["requests"]
        most = sorted(requests.items(), key=lambda each: -each[1])[:3]
        named = ", ".join(f"{count:.0f} {name}" for name, count in most)
        yield f"| {run['objects']:,} | {100 * run['idle_share']:.1f} | {sum(requests.values()):.0f} | {named} |"
    yield from ("", "`python benchmarks/cluster_objects.py` writes this page.")


if __name__ == "__main__":
    main()
