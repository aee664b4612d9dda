"""What it costs to find a network as accurate, at the same latency, by each strategy.

Single-Path and FBNet search, each time in a fresh process. A network that Single-Path finds is trained like a child
of the other strategies; the mean of their accuracies is the bar, the worst of them a lower one. The strategies that
sample replay one table of trained children over many seeds, are charged each child's cost, and have 1, 4 and 16 times
the seconds of a Single-Path search. "Not reached" is a result. That a child's luck counts for it favours the
strategies that sample. Every search and every child is kept in the work directory: an interrupted run resumes with
the next. Writes docs/benchmarks/nas-cost.md and .png.

    python benchmarks/nas_cost.py [--children 100] [--quick]
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from measuring.fashion_npz import photos_for
from measuring.machine import describe
from measuring.nas_job import problem_of
from measuring.replay import Replay, read_children
from measuring.subprocesses import run_job

from lykeion.core import digest_json, write_atomically
from lykeion.engines.choosing import DeviceProfile, read_profile, write_profile
from lykeion.engines.running import Plan
from lykeion.nas import (
    Budget,
    FoundNetwork,
    Genotype,
    LatencyTable,
    NasRequest,
    Problem,
    SearchCost,
    Space,
    find_space,
    format_genotype,
    profile_host,
)
from lykeion.nas.design_space.table import SlotTable
from lykeion.nas.runs.comparing import run_search
from lykeion.nas.strategies.children import Child
from lykeion.nas.strategies.evolution import EvolutionSampler
from lykeion.nas.strategies.mnasnet import MnasNetSampler
from lykeion.nas.strategies.random_search import RandomSampler
from lykeion.nas.strategies.sampling import MakeSampler, draw_near, sample
from lykeion.nets.training import Recipe

ROOT = Path(__file__).parents[1]
SAMPLERS: dict[str, MakeSampler] = {
    "mnasnet": MnasNetSampler,
    "evolution": EvolutionSampler,
    "random": RandomSampler,
}
TIMES = (1, 4, 16)
_TOGETHER = 5
"""Children trained in one process."""


@dataclass(frozen=True)
class Settings:
    space: str
    target_ms: float
    photos: int
    steps: int
    child_steps: int
    children: int
    seeds: int
    fbnet_seeds: int
    replays: int
    batch: int

    @property
    def name(self) -> str:
        """Of what is trained; there may be more of it later."""
        kept = (self.space, self.target_ms, self.photos, self.steps, self.child_steps, self.batch)
        return "-".join(map(str, kept))


@dataclass(frozen=True)
class Replayed:
    """A strategy at a budget: of each seed, the best accuracy so far and what was spent for it, child by child."""

    strategy: str
    times: int
    histories: tuple[tuple[tuple[float, SearchCost], ...], ...]

    def reached(self, bar: float) -> list[SearchCost | None]:
        """Over seeds, what was spent when the bar was reached; None where it was not."""
        return [next((cost for best, cost in history if best >= bar), None) for history in self.histories]

    def share(self, bar: float) -> float:
        return sum(cost is not None for cost in self.reached(bar)) / len(self.histories)


@dataclass(frozen=True)
class Searched:
    """A gradient strategy: each seed's search, and its network's accuracy when trained as a child."""

    strategy: str
    found: tuple[FoundNetwork, ...]
    accuracies: tuple[float | None, ...]

    @property
    def known(self) -> list[float]:
        """Accuracies of the searches that found a network."""
        return [accuracy for accuracy in self.accuracies if accuracy is not None]


@click.command(help=__doc__)
@click.option("--space", default="mobilenetv3-32", show_default=True)
@click.option("--target-ms", default=0.1, show_default=True, help="On this machine at one thread.")
@click.option("--photos", default=50_000, show_default=True)
@click.option("--steps", default=500, show_default=True, help="Of a supernet.")
@click.option("--child-steps", default=200, show_default=True)
@click.option("--children", default=100, show_default=True, help="In the table.")
@click.option("--seeds", default=3, show_default=True, help="Searches by Single-Path.")
@click.option("--fbnet-seeds", default=2, show_default=True, help="Searches by FBNet, some five times as long each.")
@click.option("--replays", default=100, show_default=True, help="Seeds of each strategy that samples.")
@click.option("--batch", default=64, show_default=True)
@click.option("--profile", type=click.Path(path_type=Path), help="Of this machine; measured by default.")
@click.option("--quick", is_flag=True, help="A miniature of minutes that shows nothing but that it works.")
@click.option("--work", default=ROOT / "build" / "bench" / "nas-cost", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(profile: Path | None, quick: bool, work: Path, out: Path, **asked: object) -> None:
    settings = Settings(**asked)  # pyright: ignore[reportArgumentType]
    device = read_profile(profile) if profile else host(settings.space, work, quick)
    if quick:
        _, slowest_ms = LatencyTable(find_space(settings.space), device).extremes()
        settings = replace(settings, target_ms=1.02 * slowest_ms, photos=600, steps=4, child_steps=4)
        settings = replace(settings, children=4, seeds=1, fbnet_seeds=1, replays=5, batch=32)
    work = work / settings.name
    searched, children, replayed, bar = run(settings, device, work)
    child_bytes = max(json.loads(path.read_bytes())["peak_bytes"] for path in (work / "trained").glob("*.json"))
    out.mkdir(parents=True, exist_ok=True)
    page = "\n".join(pages(settings, searched, children, replayed, bar, child_bytes)) + "\n"
    (out / "nas-cost.md").write_text(page)
    plot(searched, replayed, out / "nas-cost.png")
    print(page)


def host(space: str, work: Path, quick: bool) -> DeviceProfile:
    path = work / "host.json"
    if not path.exists():
        plan = Plan(passes=2, most=2, apart_s=0) if quick else Plan()
        write_profile(profile_host(find_space(space), journal=work / "host.jsonl", plan=plan), path)
    return read_profile(path)


def run(
    settings: Settings, device: DeviceProfile, work: Path
) -> tuple[list[Searched], list[Child], list[Replayed], float]:
    """Searches, the table's children, replays, and the accuracy to be reached."""
    asked = NasRequest(
        "single-path",
        settings.space,
        device,
        settings.target_ms,
        photos_for(work.parent, settings.photos),
        Recipe(steps=settings.child_steps, batch=settings.batch, shift=2),
        Budget(steps=settings.steps),
    )
    write_atomically(work / "request.json", json.dumps(asked.to_json()).encode())
    table = work / "children.jsonl"
    searched = [
        search(replace(asked, strategy=strategy), seeds, work, table)
        for strategy, seeds in (("single-path", settings.seeds), ("fbnet", settings.fbnet_seeds))
    ]
    ours = searched[0]
    if not ours.known:
        raise click.ClickException("Single-Path found no network within the target; give more --steps or --target-ms")
    problem = problem_of(asked)
    train(pool(problem.space, problem.table, settings), [0] * settings.children, work, table)
    pooled = set(pool(problem.space, problem.table, settings))
    children = [child for child in read_children(table, problem) if child.genotype in pooled]
    replay = Replay(children, problem.table)
    seconds = float(np.mean([found.cost.seconds for found in ours.found]))
    bar = float(np.mean(ours.known))
    replayed = [
        replay_strategy(name, times, replay, problem, Budget(seconds=times * seconds), settings.replays)
        for name in SAMPLERS
        for times in TIMES
    ]
    return searched, children, replayed, bar


def search(request: NasRequest, seeds: int, work: Path, table: Path) -> Searched:
    found = tuple(
        run_search(replace(request, seed=seed), work / "searches" / f"{request.strategy}-{seed}")
        for seed in range(seeds)
    )
    accuracies = tuple(
        None if each.genotype is None else train([each.genotype], [seed], work, table)[0]
        for seed, each in enumerate(found)
    )
    return Searched(request.strategy, found, accuracies)


def pool(space: Space, table: SlotTable, settings: Settings) -> list[Genotype]:
    """Networks of the table: two of three within the latency window, the third a neighbour of one of them."""
    rng = np.random.default_rng(0)
    drawn: dict[Genotype, None] = {}
    while len(drawn) < settings.children:
        near = draw_near(space, table, settings.target_ms, rng)
        if len(drawn) % 3 == 2:
            near = space.mutate(near, rng)
        drawn[near] = None
    return list(drawn)


def train(genotypes: list[Genotype], seeds: list[int], work: Path, table: Path) -> list[float]:
    """Accuracies of children; trained in processes of their own unless the table has them."""
    accuracies: list[float] = []
    for start in range(0, len(genotypes), _TOGETHER):
        part = slice(start, start + _TOGETHER)
        job = {
            "job": "children",
            "request": str((work / "request.json").absolute()),
            "table": str(table.absolute()),
            "genotypes": [format_genotype(genotype) for genotype in genotypes[part]],
            "seeds": seeds[part],
        }
        path = work / "trained" / f"{'-'.join(map(str, job['seeds']))}-{digest_json(job['genotypes'])[7:23]}.json"
        if not path.exists():
            write_atomically(path, json.dumps(run_job("measuring.nas_job", job)).encode())
        accuracies += json.loads(path.read_bytes())["accuracies"]
    return accuracies


def replay_strategy(
    name: str, times: int, replay: Replay, problem: Problem, budget: Budget, replays: int
) -> Replayed:
    histories: list[tuple[tuple[float, SearchCost], ...]] = []
    for seed in range(replays):
        sampler = SAMPLERS[name](problem.space, problem.table, problem.target, seed)
        found = sample(sampler, replay, problem.table, problem.target, budget, seed)
        histories.append(
            tuple(
                (event["best_accuracy"] or 0.0, SearchCost(event["steps"], event["seconds"]))
                for event in found.history
            )
        )
    return Replayed(name, times, tuple(histories))


def pages(
    settings: Settings,
    searched: list[Searched],
    children: list[Child],
    replayed: list[Replayed],
    bar: float,
    child_bytes: int,
) -> Iterator[str]:
    yield "# What a search costs"
    yield ""
    yield (
        f"{describe()}. Fashion-MNIST at 32², {settings.photos:,} photos to train on; space {settings.space}, target "
        f"{settings.target_ms:g} ms by this machine's profile; batches of {settings.batch}. A supernet trains "
        f"{settings.steps:,} steps, warm-up and settling included; a child {settings.child_steps:,}. The bar is the "
        f"validation accuracy of Single-Path's networks trained as children: {100 * bar:.2f} %."
    )
    yield ""
    yield "| strategy | as a child, % | steps | seconds | peak memory, MiB |"
    yield "|---" * 5 + "|"
    for each in searched:
        costs = [found.cost for found in each.found]
        known = [f"{100 * accuracy:.2f}" if accuracy is not None else "over target" for accuracy in each.accuracies]
        yield (
            f"| {each.strategy} | {', '.join(known)} | {np.mean([cost.steps for cost in costs]):,.0f} | "
            f"{np.mean([cost.seconds for cost in costs]):,.0f} | {max(c.peak_bytes for c in costs) / 2**20:,.0f} |"
        )
    yield ""
    seconds = np.percentile([child.cost.seconds for child in children], (10, 50, 90))
    accuracies = np.percentile([100 * child.accuracy for child in children], (0, 50, 100))
    yield (
        f"The others replay {len(children)} trained children over {settings.replays} seeds. A proposal gets the "
        f"nearest child of the table, and is charged its seconds: {seconds[1]:.0f} in the median, {seconds[0]:.0f} "
        f"to {seconds[2]:.0f} for the middle 80 %: the machine is shared. Their accuracies are "
        f"{accuracies[0]:.2f} to {accuracies[2]:.2f} %, {accuracies[1]:.2f} in the median. Training children takes "
        f"{child_bytes / 2**20:,.0f} MiB at most."
    )
    yield ""
    lowest = min(searched[0].known)
    yield (
        f"Medians are of the seeds that reach a bar: the mean of Single-Path's networks, {100 * bar:.2f} %, or the "
        f"worst of them, {100 * lowest:.2f} %. {sum(child.accuracy >= bar for child in children)} and "
        f"{sum(child.accuracy >= lowest for child in children)} children of the table do; more than its best nobody "
        "who replays it can find."
    )
    yield ""
    yield "| strategy | budget, of Single-Path's seconds | bar, % | reach it | median steps | median seconds |"
    yield "|---" * 6 + "|"
    for each in replayed:
        for asked in (bar, lowest):
            costs = [cost for cost in each.reached(asked) if cost is not None]
            medians = (
                f"{np.median([cost.steps for cost in costs]):,.0f} | "
                f"{np.median([cost.seconds for cost in costs]):,.0f}"
                if costs
                else "not reached | not reached"
            )
            share = 100 * each.share(asked)
            yield f"| {each.strategy} | {each.times}× | {100 * asked:.2f} | {share:.0f} % | {medians} |"
    yield ""
    yield f"Seeds that reached {100 * lowest:.2f} %, by the seconds charged: ![](nas-cost.png)"
    yield ""
    yield "`python benchmarks/nas_cost.py` writes this page."


def plot(searched: list[Searched], replayed: list[Replayed], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    longest = max(replayed, key=lambda each: each.times).times
    lowest = min(searched[0].known)
    for each in replayed:
        if each.times == longest:
            seconds = sorted(cost.seconds for cost in each.reached(lowest) if cost is not None)
            shares = 100 * np.arange(1, len(seconds) + 1) / len(each.histories)
            axes.step(seconds, shares, where="post", label=each.strategy)
    for each, colour in zip(searched, ("#c2410c", "#64748b"), strict=True):
        mean = np.mean([found.cost.seconds for found in each.found])
        axes.axvline(float(mean), linestyle=":", color=colour, label=f"{each.strategy}: one search")
    axes.set(xlabel="seconds charged", ylabel=f"seeds that reached {100 * lowest:.2f} %, %")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
