"""Our index against nearest-neighbour libraries and embedded stores, on four sets of vectors.

Every engine has a process of its own and one core, and is asked one query a call; ids and scores are returned.
Passes go round all engines, so that whatever else the machine does meets all alike, and the quickest pass counts.
Results are kept in the work directory: an interrupted run resumes. Peers come with
``uv pip install --group bench``; those not installed are left out. Writes docs/benchmarks/ann.md and .png.

    python benchmarks/ann.py [--passes 5] [--data fashion-mnist-784] [--engine lykeion --engine hnswlib]
"""

import shutil
from pathlib import Path
from typing import Any

import click
from engines import ENGINES, ENVIRONMENTS
from measuring.ann_report import write_report
from measuring.subprocesses import ONE_THREAD, keep_results, read_results, run_job
from measuring.vector_sets import SCENARIOS, VECTOR_SETS, load_kth

ROOT = Path(__file__).parents[1]


@click.command(help=__doc__)
@click.option("--data", "sets", multiple=True, type=click.Choice(list(VECTOR_SETS)), help="Which; all by default.")
@click.option("--rows", type=int, help="Rows of each set to search in; by default its own number.")
@click.option("--queries", default=10_000, show_default=True, help="Queries a setting; fewer of slow engines.")
@click.option("--filtered-queries", default=1_000, show_default=True, help="Queries a setting and filter.")
@click.option("--passes", default=5, show_default=True)
@click.option("--builds", default=2, show_default=True, help="How often each index is built; the quickest counts.")
@click.option("--engine", "names", multiple=True, type=click.Choice(list(ENGINES)), help="Which; all by default.")
@click.option("--clock", default="wall", type=click.Choice(["wall", "cpu"]), help="cpu: for a machine that is busy.")
@click.option("--work", default=ROOT / "build" / "bench" / "ann", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(
    sets: tuple[str, ...],
    rows: int | None,
    queries: int,
    filtered_queries: int,
    passes: int,
    builds: int,
    names: tuple[str, ...],
    clock: str,
    work: Path,
    out: Path,
) -> None:
    results: dict[str, dict[str, Any]] = {}
    for name in sets or VECTOR_SETS:
        job = {"data": name, "rows": rows, "queries": queries, "filtered_queries": filtered_queries}
        job["work"] = str(work / f"{name}-{rows or 'all'}-{queries}-{filtered_queries}")
        results[name] = measured(job, names or tuple(ENGINES), builds, passes)
    write_report(results, clock, out)


def measured(job: dict[str, Any], names: tuple[str, ...], builds: int, passes: int) -> dict[str, Any]:
    """One set of vectors, searched by all engines: for each its builds and passes."""
    data, work = VECTOR_SETS[job["data"]](job["rows"]), Path(job["work"])
    count = min(job["queries"], len(data.queries))
    load_kth(data, None, count, work)
    for scenario in SCENARIOS if data.filtered else ():
        load_kth(data, scenario, min(count, job["filtered_queries"]), work)
    del data
    turns = [("build", number) for number in range(builds)] + [("search", number) for number in range(passes)]
    for task, number in turns:
        for name in names:
            take_turn(name, task, number, job, work)
    results = {name: read_results(_results(work, name)) for name in names}
    return {name: result for name, result in results.items() if "search" in result}


def take_turn(name: str, task: str, number: int, job: dict[str, Any], work: Path) -> None:
    """One build or pass of one engine, unless its result is there or its library is not."""
    results = read_results(_results(work, name))
    done: list[Any] = results.setdefault(task, [])
    if len(done) > number or "missing" in results:
        return
    directory = work / "indices" / _slug(name)
    if task == "build":
        shutil.rmtree(directory, ignore_errors=True)
    environment = ENVIRONMENTS.get(name, {}) | ({} if task == "build" else ONE_THREAD)
    result = run_job(
        "measuring.ann_job",
        {**job, "engine": name, "task": task, "directory": str(directory)},
        environment=environment,
    )
    if "missing" in result:
        print(f"{name}: left out, {result['missing']}")
        return
    done.append(result)
    keep_results(_results(work, name), results)
    print(f"{name}: {task} {number + 1} done" + (f", {result['wall']:.1f} s" if task == "build" else ""), flush=True)


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def _results(work: Path, name: str) -> Path:
    return work / "results" / f"{_slug(name)}.json"


if __name__ == "__main__":
    main()
