"""Do GrowthBook's clients decide as we do? Random flags for random units, compared decision by decision.

The program that the tests run in a small form. Needs npm. Writes docs/benchmarks/flags.md.

    python benchmarks/flags.py [--units 10000] [--flags 200] [--seed 1]
"""

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from measuring.machine import describe

from lykeion.core import core_count, write_atomically

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
from tests.delivery import flag_agreement  # noqa: E402

BLOCK = 250
"""Units of which a process keeps what it has decided."""
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
@click.option("--processes", type=click.IntRange(1), default=core_count, show_default="cores")
@click.option("--work", type=click.Path(path_type=Path), default=ROOT / "build" / "bench" / "flags")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "flags.md")
def main(units: int, flags: int, seed: int, processes: int, work: Path, page: Path) -> None:
    node = work / "growthbook_js"
    if not (node / "node_modules").exists():
        shutil.copytree(ROOT / "tests" / "e2e" / "growthbook_js", node, dirs_exist_ok=True)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--silent"], cwd=node, check=True)
    firsts = range(0, units, BLOCK)
    found, expected = Counter[str](), list[list[Any]]()
    with tempfile.TemporaryDirectory() as directory, ProcessPoolExecutor(processes) as pool:
        sent, people = Path(directory) / "payload.json", Path(directory) / "units.jsonl"
        sent.write_text(json.dumps(flag_agreement.payload(environment(seed, flags))))
        with people.open("w") as lines:
            for first in firsts:
                for each in flag_agreement.units_of(seed, first, min(BLOCK, units - first)):
                    lines.write(json.dumps(each) + "\n")
        decided = (Path(directory) / "decided.jsonl").open("w+")
        command = ["node", "evaluate.js", str(sent), str(people)]
        with decided, subprocess.Popen(command, cwd=node, stdout=decided) as javascript:  # one process for all units
            for first, done in zip(firsts, pool.map(partial(block, units, flags, seed, work), firsts), strict=True):
                expected += done.pop("expected")
                found.update(done)
                print(f"{first + BLOCK:,} units: {dict(found)}", flush=True)
            if javascript.wait():
                sys.exit("Node has failed")
            decided.seek(0)
            found["javascript"] = flag_agreement.differences(expected, [json.loads(line) for line in decided])
    package = json.loads((node / "node_modules/@growthbook/growthbook/package.json").read_text())
    versions = {"python_version": version("growthbook"), "javascript_version": package["version"]}
    page.write_text(PAGE.format(units=units, flags=flags, machine=describe(), **versions, **found))
    if found["matching"] or found["python"] or found["javascript"]:
        sys.exit("clients decide otherwise")


@cache
def environment(seed: int, flags: int) -> Any:
    """Made once in each process."""
    return flag_agreement.random_flags(random.Random(seed), flags)


def block(units: int, flags: int, seed: int, work: Path, first: int) -> dict[str, Any]:
    """Decisions for some units, which are kept, and the number of those that are others."""
    count = min(BLOCK, units - first)
    kept = work / f"{seed}-{flags}-{first}-{count}.json"
    if not kept.exists():
        flagged, people = environment(seed, flags), flag_agreement.units_of(seed, first, count)
        expected = flag_agreement.ours(flagged, people)
        found = {
            "expected": expected,
            "decisions": count * flags,
            "varied": sum(value != -1 for row in expected for value in row),
            "matching": flag_agreement.differences(expected, flag_agreement.by_matching(flagged, people)),
            "python": flag_agreement.differences(expected, flag_agreement.by_python(flagged, people)),
        }
        write_atomically(kept, json.dumps(found).encode())
    return json.loads(kept.read_bytes())


if __name__ == "__main__":
    main()
