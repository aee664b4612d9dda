"""Rollouts: waves of devices, halt rules with sequential tests, and their simulation."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .fleet_observation import EarlierRollout, FleetObservation, FleetReports, OfferedVersion, VersionOffer
    from .halt_rules import HaltRuleError, halt_rule_text, parse_halt_rule
    from .halting import halting_rule, with_observation
    from .rollout_controller import ROLLOUTS
    from .rollout_decision import decide, described, described_devices, has_ended
    from .rollout_power import WANTED_POWER, FleetTooSmall, RulePower, check_power, described_power, rule_powers
    from .rollout_requests import WithoutEffect, approved, halted, paused, resumed, rolled_back, why_needed
    from .rollout_resource import (
        ROLLOUT,
        Approval,
        FleetRolloutStatus,
        HaltRule,
        LocalTimeWindow,
        Rollout,
        RolloutSpec,
        RuleEvidence,
        Wave,
        checked,
        with_spec,
    )
    from .rollout_simulation import FleetScenario, SimulatedRollout, simulate
    from .wave_assignment import (
        DesiredVersion,
        FleetDevice,
        Matches,
        desired_version,
        is_assigned,
        is_drawn,
        is_for,
        may_move,
        wave_of,
    )
    from .wave_text import RolloutTextError, parse_hours, parse_rates, parse_seconds, parse_waves, seconds_text


__all__ = [
    "ROLLOUT", "ROLLOUTS", "WANTED_POWER", "Approval", "DesiredVersion", "EarlierRollout", "FleetDevice",
    "FleetObservation", "FleetReports", "FleetRolloutStatus", "FleetScenario", "FleetTooSmall", "HaltRule",
    "HaltRuleError", "LocalTimeWindow", "Matches", "OfferedVersion", "Rollout", "RolloutSpec", "RolloutTextError",
    "RuleEvidence", "RulePower", "SimulatedRollout", "VersionOffer", "Wave", "WithoutEffect", "approved",
    "check_power", "checked", "decide", "described", "described_devices", "described_power", "desired_version",
    "halt_rule_text", "halted", "halting_rule", "has_ended", "is_assigned", "is_drawn", "is_for", "may_move",
    "parse_halt_rule", "parse_hours", "parse_rates", "parse_seconds", "parse_waves", "paused", "resumed",
    "rolled_back", "rule_powers", "seconds_text", "simulate", "wave_of", "why_needed", "with_observation",
    "with_spec",
]  # fmt: skip

__getattr__ = lazy(__name__)
