"""A network for each device: searched for this machine at one and at two threads and for a Pixel 1.

Each is compared with MobileNetV2 at equal or lower latency on its device, and evaluated on the two others: does one
network a device pay here? The Pixel 1 is the published table of Single-Path NAS: its networks are trained at 32²,
position by position, and costed at 224². All share the published space, so that every network can be costed on every
device. Every search and every training is kept in the work directory: an interrupted run resumes with the next.
Writes docs/benchmarks/nas-devices.md and .png.

    python benchmarks/nas_devices.py [--quick]
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from measuring.fashion_npz import photos_for
from measuring.machine import describe

from lykeion.core import core_count
from lykeion.engines.choosing import DeviceProfile, read_profile, write_profile
from lykeion.engines.running import Plan
from lykeion.nas import (
    Budget,
    ComparedNetwork,
    ComparisonReport,
    Genotype,
    LatencyTable,
    SearchComparison,
    Space,
    compare,
    find_space,
    pixel1,
    profile_host,
    read_result,
)
from lykeion.nas.runs.comparing import search_run, test_answers
from lykeion.nas.runs.final import time_networks
from lykeion.nas.runs.significance import PairedDifference, compare_paired
from lykeion.nets.training import Recipe

ROOT = Path(__file__).parents[1]
SPACE = "single-path-32"
STRATEGY = "single-path"
HOST_RIVAL, HOST_AIM = "mobilenet-v2-0.4", 0.925
"""Searches aim at that share of its latency: what is measured on this machine moves by some per cent."""

PHONE_RIVAL, PHONE_AIM = "mobilenet-v2-0.35", 0.97
"""The space at 32² is a third as wide as the published one, and so is its MobileNetV2."""

CITED_MS = {PHONE_RIVAL: 75.0}
"""MobileNetV2 of width 1 at 224² on a Pixel 1, TensorFlow Lite, one large core: Sandler et al. 2018,
arXiv:1801.04381, table 4."""

RATES = (1.0, 2.0)
"""Learning rates of the sweep, as factors of the recipe's."""


@dataclass(frozen=True)
class Settings:
    """What a run is, and so where it is kept."""

    photos: int
    steps: int
    epochs: int
    seeds: int
    batch: int
    search_batch: int
    baselines: tuple[str, ...]
    rates: tuple[float, ...]

    @property
    def name(self) -> str:
        baselines, rates = len(self.baselines), len(self.rates)
        trained = f"{self.photos}-{self.steps}-{self.epochs}-{self.seeds}-{self.batch}-{self.search_batch}"
        return f"{trained}-{baselines}-{rates}"


QUICK = Settings(600, 12, 1, 1, 32, 32, (), (1.0,))


@dataclass(frozen=True)
class Device:
    """A device with what was found for it. ``correct`` is bool (seeds, test photos)."""

    name: str
    profile: DeviceProfile
    report: ComparisonReport
    networks: tuple[Genotype, ...]
    correct: np.ndarray

    @property
    def ours(self) -> ComparedNetwork:
        return next(entry for entry in self.report.entries if entry.name == STRATEGY)


@click.command(help=__doc__)
@click.option("--photos", default=50_000, show_default=True, help="To train on; the full set has its own splits.")
@click.option("--steps", default=500, show_default=True, help="Of a search.")
@click.option("--epochs", default=2, show_default=True, help="Of every final training.")
@click.option("--seeds", default=3, show_default=True, help="Searches a device, and trainings a baseline.")
@click.option("--batch", default=128, show_default=True, help="Of every final training.")
@click.option("--search-batch", default=64, show_default=True, help="Of a search.")
@click.option("--baseline", "baselines", multiple=True, help="One more MobileNet to measure here; may be repeated.")
@click.option("--quick", is_flag=True, help="A miniature of minutes that shows nothing but that it works.")
@click.option("--work", default=ROOT / "build" / "bench" / "nas-devices", type=click.Path(path_type=Path))
@click.option("--out", default=ROOT / "docs" / "benchmarks", type=click.Path(path_type=Path))
def main(baselines: tuple[str, ...], quick: bool, work: Path, out: Path, **asked: int) -> None:
    settings = QUICK if quick else Settings(**asked, baselines=baselines, rates=RATES)
    devices = run(settings, work / settings.name, quick=quick)
    latencies = cross(devices, find_space(SPACE), work / settings.name)
    out.mkdir(parents=True, exist_ok=True)
    page = "\n".join(pages(devices, latencies, settings)) + "\n"
    (out / "nas-devices.md").write_text(page)
    plot(devices, out / "nas-devices.png")
    print(page)


def run(settings: Settings, work: Path, *, quick: bool = False) -> list[Device]:
    """Every device that this machine can stand for, and the Pixel 1."""
    data = photos_for(work.parent, settings.photos)
    profiles = {f"host-{threads}": host(threads, work, quick) for threads in range(1, min(core_count(), 2) + 1)}
    devices = []
    for name, profile in (profiles | {"pixel1": pixel1()}).items():
        on_phone = name == "pixel1"
        comparison = SearchComparison(
            (STRATEGY,),
            SPACE,
            profile,
            PHONE_RIVAL if on_phone else HOST_RIVAL,
            data,
            Budget(steps=settings.steps),
            Recipe(batch=settings.search_batch, shift=2),
            Recipe(epochs=settings.epochs, batch=settings.batch, shift=2),
            settings.seeds,
            settings.rates,
            (PHONE_RIVAL,) if on_phone else (HOST_RIVAL, *settings.baselines),
            CITED_MS if on_phone else None,
            PHONE_AIM if on_phone else HOST_AIM,
        )
        report = compare(comparison, work / name, trainings=work / "trainings")
        if report.not_found[STRATEGY]:
            raise click.ClickException(f"{name}: a search met no network within its target; give more --steps")
        found = [read_result(search_run(work / name, STRATEGY, seed)) for seed in range(settings.seeds)]
        networks = tuple(each.genotype for each in found if each.genotype is not None)
        devices.append(Device(name, profile, report, networks, np.load(test_answers(work / name, STRATEGY))))
    return devices


def host(threads: int, work: Path, quick: bool) -> DeviceProfile:
    """This machine's profile, measured once."""
    path = work / f"host-{threads}.json"
    if not path.exists():
        plan = Plan(passes=2, most=2, apart_s=0) if quick else Plan()
        journal = work / f"host-{threads}.jsonl"
        write_profile(profile_host(find_space(SPACE), threads=threads, journal=journal, plan=plan), path)
    return read_profile(path)


def cross(devices: list[Device], space: Space, work: Path) -> dict[tuple[str, str], float]:
    """Mean latency, ms, of the networks found for the first of a pair on the second."""
    latencies: dict[tuple[str, str], float] = {}
    for on in devices:
        table = LatencyTable(space, on.profile)
        if on.name == "pixel1":
            of = {each.name: [table.total(genotype) for genotype in each.networks] for each in devices}
        else:
            networks = {space.architecture(genotype) for each in devices for genotype in each.networks}
            named = {network.name: network for network in sorted(networks, key=lambda network: network.name)}
            timings = time_networks(named, on.profile.threads, work / f"cross-{on.name}.jsonl")
            of = {
                each.name: [timings[space.architecture(genotype).name].minimum_ms for genotype in each.networks]
                for each in devices
            }
        latencies |= {(name, on.name): float(np.mean(values)) for name, values in of.items()}
    return latencies


def differences(devices: list[Device]) -> dict[tuple[str, str], PairedDifference]:
    """Accuracy of the networks for the first of a pair less that of those for the second."""
    return {
        (one.name, other.name): compare_paired(one.correct, other.correct)
        for one in devices
        for other in devices
        if one is not other
    }


def pages(devices: list[Device], latencies: dict[tuple[str, str], float], settings: Settings) -> Iterator[str]:
    yield "# A network for each device"
    yield ""
    yield (
        f"{describe()}. Fashion-MNIST at 32²: {settings.photos:,} photos to train on. Space {SPACE}; Single-Path, "
        f"{settings.steps:,} steps of {settings.search_batch}; {settings.seeds} searches a device, each network "
        f"trained {settings.epochs} epochs from scratch, in batches of {settings.batch}, by the recipe of the "
        f"baselines, learning rates swept over {len(settings.rates)}. This machine's latency is measured, the Pixel "
        "1's is by its published table at 224² (networks trained at 32² position by position), MobileNetV2's there "
        "as cited (arXiv:1801.04381). The test set was read once. Intervals are paired bootstraps over photos and "
        "seeds, 95 %."
    )
    for device in devices:
        yield from device_table(device)
    yield ""
    yield "## Each network on every device"
    yield ""
    yield "| searched for | test, % | " + " | ".join(f"ms on {each.name}" for each in devices) + " |"
    yield "|---" * (2 + len(devices)) + "|"
    for one in devices:
        figures = " | ".join(f"{latencies[one.name, on.name]:.4g}" for on in devices)
        yield f"| {one.name} | {100 * one.ours.test_accuracy:.2f} | {figures} |"
    yield ""
    yield from map("- {}".format, verdicts(devices, latencies))
    yield ""
    yield "![](nas-devices.png)"
    yield ""
    yield "`python benchmarks/nas_devices.py` writes this page."


def device_table(device: Device) -> Iterator[str]:
    noise = device.report.noise
    quiet = "" if noise is None else f"; the reference's median pass was {100 * noise:.1f} % above its best"
    yield ""
    yield f"## {device.name}: {device.profile.name}"
    yield ""
    yield f"Target {device.report.target_ms:.4g} ms, that of {device.report.rival}{quiet}."
    yield ""
    yield "| network | ms | predicted | test, % | spread | less the rival's | verdict |"
    yield "|---" * 7 + "|"
    for entry in sorted(device.report.entries, key=lambda entry: entry.latency_ms):
        by = entry.difference
        interval = f"{100 * by.low:+.2f} … {100 * by.high:+.2f}" if by else ""
        predicted = "" if entry.predicted_ms is None else f"{entry.predicted_ms:.4g}"
        yield (
            f"| {entry.name} | {entry.latency_ms:.4g} | {predicted} | {100 * entry.test_accuracy:.2f} | "
            f"{100 * entry.test_spread:.2f} | {interval} | {entry.verdict} |"
        )


def verdicts(devices: list[Device], latencies: dict[tuple[str, str], float]) -> Iterator[str]:
    """Whether a device's own networks are better than all others that are fast enough there."""
    between = differences(devices)
    for device in devices:
        rivals = [
            other.name
            for other in devices
            if other is not device and latencies[other.name, device.name] <= device.report.target_ms
        ]
        if not rivals:
            yield f"{device.name}: a network of its own pays; those of the other devices are over its target."
            continue
        shown = {name: between[device.name, name].verdict for name in rivals}
        said = ", ".join(f"{verdict} against those for {name}" for name, verdict in shown.items())
        pays = "pays" if set(shown.values()) == {"better"} else "is not shown to pay"
        yield f"{device.name}: a network of its own {pays}: {said}, within the target too."


def plot(devices: list[Device], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(devices), 3.6), layout="constrained")
    for axes, device in zip(np.atleast_1d(figure.subplots(1, len(devices))), devices, strict=True):
        for entry in device.report.entries:
            ours = entry.name == STRATEGY
            axes.plot(entry.latency_ms, 100 * entry.test_accuracy, "o" if ours else "s", color=_colour(ours))
            axes.annotate(entry.name, (entry.latency_ms, 100 * entry.test_accuracy), fontsize=7)
        axes.axvline(device.report.target_ms, linestyle=":", color="grey")
        axes.set(title=device.name, xlabel="ms", ylabel="test, %")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)


def _colour(ours: bool) -> str:
    return "#c2410c" if ours else "#64748b"


if __name__ == "__main__":
    main()
