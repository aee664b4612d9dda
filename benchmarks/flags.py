"""Do GrowthBook's clients decide as we do? Random flags for random units, compared decision by decision.

The program that the tests run in a small form. Needs npm. Writes docs/benchmarks/flags.md.

    python benchmarks/flags.py [--units 10000] [--flags 200] [--seed 1]
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import click
from measuring.machine import describe

from lykeion.core import write_atomically

ROOT = Path(__file__).parents[1]
BLOCK = 500
"""Units of one process."""
PAGE = """# Flags beside GrowthBook's clients

{flags:,} random flags, each of one or two rules with random [conditions](../flags.md#attributes), coverage, weights,
and here and there a namespace, a saved group, or another flag that is required; {units:,} units whose attributes are
missing, null, of their type, or of another. Each of the {decisions:,} decisions is made by our evaluation of what
clients are sent, by our server's filters without GrowthBook's conditions, and by GrowthBook's own clients. {varied:,}
of them are not the flag's default. {machine}.

| decided by | other than by our evaluation |
|---|---:|
| filters of the server (`core.matching`) | {matching:,} |
| growthbook {python_version} for Python | {python:,} |
| @growthbook/growthbook {javascript_version} for JavaScript | {javascript:,} |

`python benchmarks/flags.py --units {units} --flags {flags}` writes this page.
"""


@click.command()
@click.option("--units", type=click.IntRange(1), default=10_000, show_default=True)
@click.option("--flags", type=click.IntRange(1), default=200, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / "build" / "bench" / "flags")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "flags.md")
def main(units: int, flags: int, seed: int, work: Path, page: Path) -> None:
    node = work / "growthbook_js"
    if not (node / "node_modules").exists():
        shutil.copytree(ROOT / "tests" / "e2e" / "growthbook_js", node, dirs_exist_ok=True)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=node, check=True)
    found = Counter[str]()
    for first in range(0, units, BLOCK):
        found.update(block(min(BLOCK, units - first), flags, seed, first, work))
        print(f"{first + BLOCK:,} units: {dict(found)}", flush=True)
    package = json.loads((node / "node_modules/@growthbook/growthbook/package.json").read_text())
    versions = {"python_version": version("growthbook"), "javascript_version": package["version"]}
    page.write_text(PAGE.format(units=units, flags=flags, machine=describe(), **versions, **found))
    if found["matching"] or found["python"] or found["javascript"]:
        sys.exit("clients decide otherwise")


def block(units: int, flags: int, seed: int, first: int, work: Path) -> dict[str, int]:
    """The result for some units, which is kept."""
    kept = work / f"{seed}-{flags}-{first}-{units}.json"
    if not kept.exists():
        numbers = map(str, (units, flags, seed, first))
        command = [sys.executable, "-m", "tests.delivery.flag_agreement", *numbers, str(work / "growthbook_js")]
        write_atomically(kept, subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return json.loads(kept.read_bytes())


if __name__ == "__main__":
    main()
