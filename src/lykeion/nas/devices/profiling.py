"""Makes a device's profile from the times of a space's pieces, and measures this machine."""

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
class MeasuredDevice:
    """A profile's description of the device on which it was measured."""

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
    """Measure this machine with LiteRT. Resumes from ``journal`` if it exists, and keeps it.

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
    """Measure this machine and write its profile; until then the passes are kept next to it, so that a second call
    resumes. Passes that give no valid profile are deleted. Raises TimingError, LatencyError, ProfileError."""
    journal = path.with_name(f"{path.name}.passes.jsonl")
    try:
        profile = profile_host(space, threads=threads, journal=journal, reporter=reporter)
    except LatencyError:
        journal.unlink(missing_ok=True)
        raise
    write_profile(profile, path)
    Journal(journal, TimingError).remove()
    return profile


def host(threads: int, name: str = "") -> MeasuredDevice:
    """This machine, named after its processor or as given."""
    soc = processor()
    return MeasuredDevice(
        name or soc, soc, "LiteRT", version("ai-edge-litert"), threads, "float32", "measured by lykeion nas profile"
    )


def reference(threads: int) -> Candidate:
    """A fixed network that is measured in turns with the candidates, to tell how quiet the machine is."""
    architecture = find(REFERENCE_NETWORK)
    return litert_candidate(write_litert(architecture, random_weights(architecture)), threads)


def profile_of(space: Space, times_ms: Mapping[str, float], device: MeasuredDevice) -> DeviceProfile:
    """The profile made from the times of ``pieces(space)``, fitted on the whole networks among them.

    Raises LatencyError if a piece is missing, or if the machine was so busy that the fit is invalid.
    """
    missing = [name for name in pieces(space) if name not in times_ms]
    if missing:
        raise LatencyError(f"{len(missing)} of the pieces were not measured, {missing[0]!r} first; measure them too")
    # A block measured alone includes the overhead of calling the engine; in a network it occurs only once.
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
    LatencyTable(space, profile)  # raises LatencyError if the fit is invalid
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
