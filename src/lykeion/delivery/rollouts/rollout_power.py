"""Whether a fleet is large enough for its halt rules to see harm while the first wave is watched.

That is the first of those that are a share of the fleet: devices of rings, and named ones, are not compared.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from msgspec import structs

from lykeion.core import Invalid

from .halt_rules import halt_rule_text
from .rollout_resource import HaltRule, RolloutSpec
from .rollout_simulation import FleetScenario, simulate
from .wave_text import seconds_text

WANTED_POWER = 0.95
RUNS = 200
MAX_SOAK_FACTOR = 8


class FleetTooSmall(Invalid):
    """A rollout whose rules would not see the harm that they name."""


@dataclass(frozen=True)
class RulePower:
    """How often a rule halts within the ``wave`` a version with just the harm that it names.

    ``wanted_soak_seconds`` is how long the wave has to be watched for .95, None if no time that was tried does.
    """

    rule: HaltRule
    wave: int
    caught: float
    soak_seconds: int
    wanted_soak_seconds: int | None


def rule_powers(
    spec: RolloutSpec, scenario: FleetScenario, harm: Mapping[str, float], seed: int = 0
) -> list[RulePower]:
    """The power of each rule that compares; ``harm`` is the odds ratio by metric, by default that of the rule."""
    number = next((number for number, wave in enumerate(spec.waves, 1) if wave.percent is not None), 0)
    rules = [rule for rule in spec.halt_when if rule.ratio is not None and number]
    return [_power(spec, number, rule, scenario, harm, seed) for rule in rules]


def check_power(
    spec: RolloutSpec, scenario: FleetScenario, harm: Mapping[str, float], seed: int = 0
) -> list[RulePower]:
    """Raises FleetTooSmall, with the numbers, unless the rollout is only watched."""
    powers = rule_powers(spec, scenario, harm, seed)
    weak = [each for each in powers if each.caught < WANTED_POWER]
    if weak and not spec.watch_only:
        raise FleetTooSmall("; ".join(map(described_power, weak)) + "; or start it with watchOnly")
    return powers


def described_power(power: RulePower) -> str:
    text = f"{halt_rule_text(power.rule)}: seen in wave {power.wave} with a probability of {power.caught:.0%}"
    if power.caught >= WANTED_POWER:
        return text
    if power.wanted_soak_seconds is None:
        return (
            f"{text}, and not of {WANTED_POWER:.0%} in {MAX_SOAK_FACTOR} times as long; a larger first wave is needed"
        )
    return f"{text}; for {WANTED_POWER:.0%} its soak has to be {seconds_text(power.wanted_soak_seconds)}"


def _power(
    spec: RolloutSpec, wave: int, rule: HaltRule, scenario: FleetScenario, harm: Mapping[str, float], seed: int
) -> RulePower:
    """From one simulation of a wave that is watched for long: when each run was halted."""
    soak_s = spec.waves[wave - 1].soak_seconds
    watched = structs.replace(spec.waves[wave - 1], soak_seconds=MAX_SOAK_FACTOR * soak_s)
    alone = structs.replace(
        spec, waves=(watched,), halt_when=(rule,), alpha=spec.alpha / len(spec.halt_when), watch_only=False
    )
    harmed = replace(scenario, harm={rule.metric: harm.get(rule.metric, rule.ratio or 1.0)})
    ended = [each for each in simulate(alone, harmed, RUNS, seed) if each.state == "Halted"]
    seconds = sorted(each.seconds for each in ended)
    needed = math.ceil(WANTED_POWER * RUNS)
    wanted = math.ceil(seconds[needed - 1]) if len(seconds) >= needed else None
    return RulePower(rule, wave, sum(each <= soak_s for each in seconds) / RUNS, soak_s, wanted)
