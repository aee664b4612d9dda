"""From the times of a space's pieces to a device's profile, and the times of this machine."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from lykeion.core import CONSOLE, Journal, Reporter
from lykeion.engines.choosing import (
    REFERENCE,
    DeviceProfile,
    Noise,
    Timing,
    TimingError,
    TimingJournal,
    entry_key,
    litert_candidate,
    measure,
    write_profile,
)
from lykeion.engines.running import USUAL, Candidate, Plan, processor
from lykeion.nas.design_space.space import Space, format_choice
from lykeion.nets import find, random_weights, write_litert

from .latency import LatencyError, LatencyTable, fit
from .pieces import FITTED_ON, NOTHING, block_name, diverse, network_name, pieces, shared

REFERENCE_NETWORK = "mobilenet-v2-0.35@96"


@dataclass(frozen=True, slots=True)
class Device:
    """What a profile says of where it was measured."""

    name: str
    soc: str
    engine: str
    engine_version: str
    threads: int
    precision: str
    source: str


def profile_host(
    space: Space, *, threads: int = 1, name: str = "", journal: Path, plan: Plan = USUAL, reporter: Reporter = CONSOLE
) -> DeviceProfile:
    """Measure this machine through LiteRT. Goes on from ``journal`` where it is there, and leaves it.

    Raises TimingError, LatencyError.
    """
    device = host(threads, name)
    timings = measure(
        {piece: litert_candidate(write(), threads) for piece, write in pieces(space).items()},
        reference=reference(threads),
        threads=threads,
        plan=plan,
        journal=TimingJournal(journal, {**asdict(device), "space": space.name}),
        reporter=reporter,
    )
    profile = profile_of(space, {piece: timing.minimum_ms for piece, timing in timings.items()}, device)
    return replace(profile, noise=noise_of(timings))


def write_host_profile(space: Space, path: Path, *, threads: int = 1, reporter: Reporter = CONSOLE) -> DeviceProfile:
    """Measure this machine and write its profile; until then the passes are kept beside it, so that a second call
    resumes. Passes that make no profile are not kept. Raises TimingError, LatencyError, ProfileError."""
    journal = path.with_name(f"{path.name}.passes.jsonl")
    try:
        profile = profile_host(space, threads=threads, journal=journal, reporter=reporter)
    except LatencyError:
        journal.unlink(missing_ok=True)
        raise
    write_profile(profile, path)
    Journal(journal, TimingError).remove()
    return profile


def host(threads: int, name: str = "") -> Device:
    """This machine, under a name of its processor's or another."""
    soc = processor()
    return Device(
        name or soc, soc, "LiteRT", version("ai-edge-litert"), threads, "float32", "measured by lykeion nas profile"
    )


def reference(threads: int) -> Candidate:
    """What takes turns with the candidates of any measurement, to tell how quiet the machine is."""
    architecture = find(REFERENCE_NETWORK)
    return litert_candidate(write_litert(architecture, random_weights(architecture)), threads)


def profile_of(space: Space, times_ms: Mapping[str, float], device: Device) -> DeviceProfile:
    """The profile that the times of ``pieces(space)`` make, fitted on the whole networks among them.

    Raises LatencyError where a piece is missing, or the machine was so busy that the fit says nonsense.
    """
    missing = [name for name in pieces(space) if name not in times_ms]
    if missing:
        raise LatencyError(f"{len(missing)} of the pieces were not measured, {missing[0]!r} first; measure them too")
    # Alone, a block pays for entering the engine; inside a network only the network does.
    entering = times_ms[NOTHING]
    table = {
        entry_key(slot.position, format_choice(choice)): max(0.0, times_ms[block_name(slot, choice)] - entering)
        for slot in space.slots
        for choice in slot.choices
        if choice is not None
    }
    bare = DeviceProfile(
        **asdict(device),
        space=space.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        table=table,
        rest_ms=entering + sum(max(0.0, times_ms[name] - entering) for name in shared(space)),
    )
    networks = diverse(space, FITTED_ON)
    predict = LatencyTable(space, bare).total
    coefficients = fit(
        [predict(genotype) for genotype in networks], [times_ms[network_name(genotype)] for genotype in networks]
    )
    profile = replace(bare, **asdict(coefficients), fitted_on=len(networks))
    LatencyTable(space, profile)  # which refuses a fit that says nonsense
    return profile


def noise_of(timings: Mapping[str, Timing]) -> Noise:
    """How quiet the machine was."""
    reference = timings[REFERENCE]
    return Noise(
        reference.minimum_ms,
        reference.busy,
        worst_spread=max(timing.spread for timing in timings.values()),
        passes=reference.passes,
    )
