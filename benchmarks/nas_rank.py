"""How well a supernet ranks networks: Kendall's τ of inherited and of stand-alone accuracy.

Networks are drawn evenly from the space. Inherited accuracy is with the weights of Single-Path's supernet at the end
of its search, batch norm recalibrated; stand-alone accuracy is of a training from scratch. Both on the validation
set. The search and every network are kept in the work directory: an interrupted run resumes with the next. Writes
docs/benchmarks/nas-rank.md and .png.

    python benchmarks/nas_rank.py [--networks 24] [--quick]
"""

import json
from pathlib import Path

import click
import numpy as np
from measuring.fashion_npz import photos_for
from measuring.machine import describe
from measuring.subprocesses import keep_results, read_results, run_job
from nas_cost import host

from lykeion.core import write_atomically
from lykeion.engines.choosing import read_profile
from lykeion.nas import Budget, NasRequest, find_space, format_genotype, kendall_tau
from lykeion.nas.runs.comparing import run_search
from lykeion.nets.training import Recipe

ROOT = Path(__file__).parents[1]


@click.command(help=__doc__)
@click.option("--space", default="mobilenetv3-32", show_default=True)
@click.option("--target-ms", default=0.1, show_default=True, help="Of the search whose supernet is judged.")
@click.option("--networks", default=24, show_default=True)
@click.option("--photos", default=50_000, show_default=True)
@click.option("--steps", default=500, show_default=True, help="Of the supernet.")
@click.option("--child-steps", default=200, show_default=True, help="Of a network from scratch.")
@click.option("--batch", default=64, show_default=True)
@click.option("--profile", type=click.Path(path_type=Path), help="Of this machine; measured by default.")
@click.option("--quick", is_flag=True, help="A miniature of minutes that shows nothing but that it works.")
@click.option("--work", default=ROOT / "build" / "bench" / "nas-rank", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(
    space: str,
    target_ms: float,
    networks: int,
    photos: int,
    steps: int,
    child_steps: int,
    batch: int,
    profile: Path | None,
    quick: bool,
    work: Path,
    out: Path,
) -> None:
    if quick:
        networks, photos, steps, child_steps, batch = 3, 600, 12, 4, 32
    work = work / f"{space}-{target_ms}-{photos}-{steps}-{child_steps}-{batch}"
    device = read_profile(profile) if profile else host(space, work, quick)
    data = photos_for(work.parent, photos)
    recipe = Recipe(steps=child_steps, batch=batch, shift=2)
    request = NasRequest("single-path", space, device, target_ms, data, recipe, Budget(steps=steps))
    run_search(request, work / "search")
    write_atomically(work / "request.json", json.dumps(request.to_json()).encode())
    rows = measure(draw(space, networks), work)
    out.mkdir(parents=True, exist_ok=True)
    inherited, alone = (np.array([row[kind] for row in rows.values()]) for kind in ("inherited", "alone"))
    tau = kendall_tau(inherited, alone)
    page = (
        f"# How well a supernet ranks networks\n\n{describe()}. Fashion-MNIST at 32², {photos:,} photos to train on; "
        f"{len(rows)} networks drawn evenly from {space}; supernet: {steps:,} steps, target {target_ms:g} ms; each "
        f"network from scratch: {child_steps:,} steps of {batch}.\n\nKendall's τ of inherited and stand-alone "
        f"accuracy: **{tau:.2f}**. Inherited {100 * inherited.min():.1f} to {100 * inherited.max():.1f} %, alone "
        f"{100 * alone.min():.1f} to {100 * alone.max():.1f} %.\n\n![](nas-rank.png)\n\n"
        "`python benchmarks/nas_rank.py` writes this page.\n"
    )
    (out / "nas-rank.md").write_text(page)
    plot(inherited, alone, tau, out / "nas-rank.png")
    print(page)


def draw(space: str, networks: int) -> list[str]:
    rng = np.random.default_rng(0)
    return [format_genotype(find_space(space).sample(rng)) for _ in range(networks)]


def measure(genotypes: list[str], work: Path) -> dict[str, dict[str, float]]:
    """Inherited and stand-alone accuracy, by genotype."""
    path = work / "accuracies.json"
    known = read_results(path)
    where = {"request": str((work / "request.json").absolute()), "run": str((work / "search").absolute())}
    lacking = [genotype for genotype in genotypes if genotype not in known]
    if lacking:
        job = {"job": "inherit", **where, "genotypes": lacking}
        inherited = run_job("measuring.nas_job", job)["accuracies"]
        known |= {genotype: {"inherited": value} for genotype, value in zip(lacking, inherited, strict=True)}
        keep_results(path, known)
    for genotype in genotypes:
        if "alone" not in known[genotype]:
            table = str((work / "children.jsonl").absolute())
            job = {"job": "children", **where, "table": table, "genotypes": [genotype], "seeds": [0]}
            known[genotype]["alone"] = run_job("measuring.nas_job", job)["accuracies"][0]
            keep_results(path, known)
    return {genotype: known[genotype] for genotype in genotypes}


def plot(inherited: np.ndarray, alone: np.ndarray, tau: float, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(100 * inherited, 100 * alone, "o", color="#c2410c")
    axes.set(xlabel="inherited, %", ylabel="stand-alone, %", title=f"τ = {tau:.2f}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
