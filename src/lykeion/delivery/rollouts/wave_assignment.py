"""Which version each device is to run: waves by bucket, ring and name, and what takes precedence over what.

A safety halt takes precedence over a pin, a pin over an experiment, an experiment over a rollout.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from lykeion.core.bucketing import bucket_of

from .rollout_resource import Rollout, RolloutSpec, Wave

Attribute = str | int | float | bool


@dataclass(frozen=True)
class FleetDevice:
    """``running`` has the number of the version that it runs of each model; ``local_hour`` is of its own clock."""

    id: str
    device_class: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])
    running: Mapping[str, int] = field(default_factory=dict[str, int])
    local_hour: int | None = None


Matches = Callable[[str, Mapping[str, Attribute]], bool]
"""Whether attributes satisfy a condition in the language of ``core.grammar``."""


@dataclass(frozen=True)
class DesiredVersion:
    """The number of the version that a device is to run, 0 for the first one that is published and not ``halted``.

    ``why`` says what asked for it.
    """

    number: int
    why: str
    halted: frozenset[int] = frozenset()


def is_for(spec: RolloutSpec, device: FleetDevice, matches: Matches) -> bool:
    """Whether a rollout is for a device at all, whatever it runs now."""
    of_class = not spec.classes or device.device_class in spec.classes
    return of_class and (not spec.where or matches(spec.where, device.attributes))


def may_move(spec: RolloutSpec, device: FleetDevice) -> bool:
    """Whether a device of a wave that has begun moves now, by the version that it runs and its own time of day.

    One that runs no version yet waits for no window.
    """
    number = device.running.get(spec.model, 0)
    least, most = spec.minimum_version or 0, spec.maximum_version or number
    return least <= number <= most and (not number or _in_window(spec, device.local_hour))


def wave_of(spec: RolloutSpec, seed: str, device: FleetDevice) -> int | None:
    """The first wave that has a device, counted from 1, also one that enrols later; None if no wave has it."""
    bucket = bucket_of(seed, device.id)
    return next((number for number, wave in enumerate(spec.waves, 1) if _has(wave, bucket, device)), None)


def is_assigned(rollout: Rollout, device: FleetDevice) -> bool:
    """Whether its wave has begun."""
    wave = wave_of(rollout.spec, rollout.metadata.uid, device)
    return wave is not None and wave <= rollout.status.wave


def desired_version(
    model: str,
    device: FleetDevice,
    rollouts: Sequence[Rollout],
    matches: Matches,
    pinned: int = 0,
    experiment: int = 0,
    revoked: Collection[int] = (),
) -> DesiredVersion:
    """By the rollouts of a model, oldest first. A later one that completed takes the place of those before.

    What was halted is not run until a later rollout moves it again, and what was ``revoked`` never.
    """
    ours = [each for each in rollouts if each.spec.model == model and is_for(each.spec, device, matches)]
    halted = frozenset(_halted(ours)).union(revoked)
    stable: list[DesiredVersion] = []
    moving: list[DesiredVersion] = []
    for each in ours:
        if not each.status.returns and is_assigned(each, device) and _moves(each, device, halted):
            wish = DesiredVersion(each.status.number, f"rollout {each.metadata.name}")
            if each.status.state == "Complete":
                stable, moving = [wish, *stable], []
            else:
                moving = [wish]
    wishes = [DesiredVersion(pinned, "pin")] if pinned else []
    wishes += [DesiredVersion(experiment, "experiment")] if experiment else []
    allowed = (each for each in (*wishes, *moving, *stable) if each.number not in halted)
    return next(allowed, DesiredVersion(0, "stable", halted))


def is_drawn(spec: RolloutSpec, device: FleetDevice) -> bool:
    """Whether no wave names the device or its ring, so that its bucket alone decides."""
    return not any(wave.percent is None and _has(wave, 1.0, device) for wave in spec.waves)


def _halted(rollouts: Sequence[Rollout]) -> set[int]:
    """Versions that a later rollout has not begun to move again."""
    halted = set[int]()
    for each in rollouts:
        if each.status.returns:
            halted.add(each.status.number)
        elif each.status.wave:
            halted.discard(each.status.number)
    return halted


def _moves(rollout: Rollout, device: FleetDevice, halted: Collection[int]) -> bool:
    """Whether a device of its waves runs the version, may move now, or returns to it from one that was halted."""
    status, running = rollout.status, device.running.get(rollout.spec.model, 0)
    if running and running == status.number:
        return True
    if status.state == "Complete" and running in halted:
        return True
    return status.state != "Halted" and may_move(rollout.spec, device)


def _has(wave: Wave, bucket: float, device: FleetDevice) -> bool:
    if wave.percent is not None:
        return bucket < wave.percent / 100
    return device.attributes.get("ring") in wave.rings or device.id in wave.devices


def _in_window(spec: RolloutSpec, hour: int | None) -> bool:
    if spec.window is None or hour is None:
        return spec.window is None
    start, end = spec.window.from_hour, spec.window.until_hour
    return start <= hour < end if start <= end else hour >= start or hour < end
