"""Experiments on flags as clients are sent them: a rule before all others, by which units are divided alike."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from lykeion.core.grammar import parse

from .flag_compiling import Document, FlagEnvironment, rule_document
from .flag_model import FlagError, FlagRule, check_attribute_name, check_value


@dataclass(frozen=True)
class FlagExperiment:
    """``shares`` are of the variations of ``rule``. One that is not ``for_clients`` is decided by servers alone."""

    flag: str
    rule: FlagRule
    shares: tuple[float, ...]
    for_clients: bool = True


@dataclass(frozen=True)
class FlagExperiments:
    """Those that run, and when the last began or ended (seconds since 1970)."""

    running: tuple[FlagExperiment, ...] = ()
    changed_at: float = 0.0


def features_with(environment: FlagEnvironment, experiments: Sequence[FlagExperiment]) -> dict[str, Document]:
    """What clients are sent. An experiment whose flag was archived, or does not fit any longer, is left out."""
    found = dict(environment.client_features)
    for each in experiments:
        with suppress(FlagError):
            check_experiment(environment, each)
            if each.for_clients and each.flag in found:
                flag = found[each.flag]
                found[each.flag] = {**flag, "rules": [_document(environment, each), *flag["rules"]]}
    return found


def check_experiment(environment: FlagEnvironment, experiment: FlagExperiment) -> None:
    """Raises FlagError where there is no such flag, or clients could not decide as we do."""
    flag, rule = environment.flags.get(experiment.flag), experiment.rule
    if flag is None:
        known = ", ".join(sorted(environment.flags)[:10]) or "none"
        raise FlagError(f"there is no flag {experiment.flag!r}; there are: {known}; see: lykeion flags set")
    place = f"flag {experiment.flag}"
    if not flag.enabled:
        raise FlagError(f"{place} is off, so that no rule of it applies: lykeion flags set {experiment.flag} --on")
    if flag.requires:
        raise FlagError(f"{place} requires other flags, which an experiment cannot know of; take another flag")
    for each in rule.variations:
        check_value(flag.type, each.value, f"{place}: arm {each.name}")
    if experiment.for_clients and not flag.server_only:
        check_attribute_name(rule.unit)
        _document(environment, experiment)
    elif rule.where:
        parse(rule.where)


def _document(environment: FlagEnvironment, experiment: FlagExperiment) -> Document:
    """With the shares as they were declared: rounded otherwise, a unit at a boundary would move."""
    made = rule_document(environment, experiment.flag, environment.flags[experiment.flag], experiment.rule)
    return {**made, "weights": list(experiment.shares)}
