"""The latency predictor, judged on whole networks that it has not seen.

Blocks and a few networks are measured, as `lykeion nas profile` does; then held-out networks: half of them drawn
evenly from the space, half from its smallest to its largest. Every pass is kept in the work directory: an interrupted
run resumes. Takes a few minutes on a quiet machine, and says how quiet it was. Writes docs/benchmarks/predictor.md
and .png.

    python benchmarks/predictor.py [--space mobilenetv3-32] [--networks 60]
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from measuring.machine import describe

from lykeion.core import core_count
from lykeion.engines.choosing import DeviceProfile, Noise, TimingJournal, litert_candidate, measure
from lykeion.nas import Genotype, LatencyTable, Space, find_space, judge, profile_host
from lykeion.nas.devices.latency import Judgement
from lykeion.nas.devices.pieces import FITTED_ON, diverse, network_name
from lykeion.nas.devices.profiling import noise_of, reference
from lykeion.nets import random_weights, write_litert

ROOT = Path(__file__).parents[1]
_WITHIN, _RHO = 0.95, 0.95


@dataclass(frozen=True)
class Run:
    """Of one number of threads: predicted and measured milliseconds of the held-out networks."""

    threads: int
    profile: DeviceProfile
    noise: Noise
    predicted: np.ndarray
    measured: np.ndarray
    even: int
    """How many of them, the first ones, were drawn evenly."""

    @property
    def judgement(self) -> Judgement:
        return judge(self.predicted, self.measured)

    @property
    def holds(self) -> bool:
        return self.judgement.within_10_percent >= _WITHIN and self.judgement.spearman_rho >= _RHO


@click.command(help=__doc__)
@click.option("--space", "name", default="mobilenetv3-32", show_default=True)
@click.option("--networks", default=60, show_default=True, help="How many are held out.")
@click.option("--threads", "counts", type=int, multiple=True, help="Default: 1 and 2, as far as there are cores.")
@click.option("--work", default=ROOT / "build" / "bench" / "predictor", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(name: str, networks: int, counts: tuple[int, ...], work: Path, out: Path) -> None:
    space = find_space(name)
    counts = counts or tuple(range(1, min(core_count(), 2) + 1))
    runs = [run(space, networks, threads, work / f"{name}-{networks}-{threads}") for threads in counts]
    out.mkdir(parents=True, exist_ok=True)
    page = "\n".join(report(space, runs)) + "\n"
    (out / "predictor.md").write_text(page)
    plot(space, runs, out / "predictor.png")
    print(page)


def run(space: Space, networks: int, threads: int, work: Path) -> Run:
    profile = profile_host(space, threads=threads, journal=work / "profile.jsonl")
    even, held_out = held_out_networks(space, networks)
    timings = measure(
        {network_name(genotype): litert_candidate(_file(space, genotype), threads) for genotype in held_out},
        reference=reference(threads),
        threads=threads,
        journal=TimingJournal(work / "networks.jsonl", {"space": space.name, "threads": threads}),
    )
    predict = LatencyTable(space, profile).total
    return Run(
        threads,
        profile,
        noise_of(timings),
        np.array([predict(genotype) for genotype in held_out]),
        np.array([timings[network_name(genotype)].minimum_ms for genotype in held_out]),
        even,
    )


def held_out_networks(space: Space, networks: int) -> tuple[int, list[Genotype]]:
    """How many were drawn evenly, and all; none of them is one that the profile was fitted on."""
    seen, rng = set(diverse(space, FITTED_ON)), np.random.default_rng(1)
    even = [genotype for genotype in (space.sample(rng) for _ in range(networks // 2)) if genotype not in seen]
    spread = [genotype for genotype in diverse(space, networks - len(even), seed=2) if genotype not in {*seen, *even}]
    return len(even), even + spread


def report(space: Space, runs: Sequence[Run]) -> Iterator[str]:
    yield "# The latency predictor"
    yield ""
    yield (
        f"Space `{space.name}` ({len(space.slots)} slots, {space.size:.2g} networks), LiteRT "
        f"{runs[0].profile.engine_version}, float32. {describe()}."
    )
    yield ""
    yield (
        "Predicted is the sum of the blocks' latencies, each measured alone, and of what all networks share, times "
        f"one coefficient plus another, which are fitted on {runs[0].profile.fitted_on} networks. Held out are "
        "other whole networks, measured too. All figures are the least over passes that lie apart, with all "
        "candidates taking turns."
    )
    yield ""
    yield "| threads | held out | within ±10 % | MAPE | worst | Spearman ρ | Kendall τ | measured, ms | bar |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for each in runs:
        for what, part in (
            ("all", slice(None)),
            ("drawn evenly", slice(each.even)),
            ("small to large", slice(each.even, None)),
        ):
            found, measured = judge(each.predicted[part], each.measured[part]), each.measured[part]
            bar = ("held" if each.holds else "missed") if what == "all" else ""
            yield (
                f"| {each.threads} | {found.networks}, {what} | {found.within_10_percent:.1%} | {found.mape:.2%} "
                f"| {found.worst:.1%} | {found.spearman_rho:.4f} | {found.kendall_tau:.3f} "
                f"| {measured.min():.3f}–{measured.max():.3f} | {bar} |"
            )
    yield ""
    yield f"The bar: at least {_WITHIN:.0%} of all held-out networks within ±10 %, and ρ at least {_RHO}."
    yield ""
    yield "## How quiet the machine was"
    yield ""
    yield (
        "A reference network took its turn among the candidates: how far its median pass lay above its best. A "
        "candidate is measured again until its two best passes lie within 3 %, 25 passes at most."
    )
    yield ""
    yield "| threads | while | reference, ms | median above best | passes | worst two best passes apart |"
    yield "|---|---|---|---|---|---|"
    for each in runs:
        for what, noise in (("blocks", each.profile.noise), ("held-out networks", each.noise)):
            assert noise is not None
            yield (
                f"| {each.threads} | {what} | {noise.reference_ms:.4f} | {noise.reference_busy:.1%} | {noise.passes} "
                f"| {noise.worst_spread:.1%} |"
            )
    yield ""
    yield "![Predicted against measured latency](predictor.png)"
    yield ""
    yield "Written by `python benchmarks/predictor.py`."


def plot(space: Space, runs: Sequence[Run], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(runs), 5.2), layout="constrained")
    figure.suptitle(f"Held-out networks of {space.name}")
    for axes, each in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
        ends = np.array([0.95 * each.measured.min(), 1.05 * each.measured.max()])
        axes.fill_between(ends, 0.9 * ends, 1.1 * ends, color="0.9", label="±10 %")
        axes.plot(ends, ends, color="0.6", linewidth=0.8)
        for what, part in (("drawn evenly", slice(each.even)), ("small to large", slice(each.even, None))):
            axes.scatter(each.measured[part], each.predicted[part], s=14, label=what)
        found = each.judgement
        axes.set(
            xlabel="measured, ms",
            ylabel="predicted, ms",
            title=f"{each.threads} thread(s): {found.within_10_percent:.0%} within ±10 %, ρ {found.spearman_rho:.3f}",
        )
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def _file(space: Space, genotype: Genotype) -> bytes:
    """The LiteRT file of a network of the space with random weights, up to its logits."""
    architecture = space.architecture(genotype)
    return write_litert(architecture, random_weights(architecture), output="logits")


if __name__ == "__main__":
    main()
