"""When units are divided anew, and by which seed.

More coverage moves nobody. Other weights would, if the seed stayed: so they begin a phase with a seed of its own, or
clients keep what each unit got (sticky bucketing) and only new units are divided by the new weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from .flag_model import FeatureFlag, FlagRule, weights_of


@dataclass(frozen=True)
class PhasedFlag:
    """``seeds`` are those that are new, by rule; ``notes`` say for people what becomes of units."""

    flag: FeatureFlag
    seeds: Mapping[str, str]
    notes: tuple[str, ...] = ()


def with_phases(
    name: str, old: FeatureFlag | None, new: FeatureFlag, used: Mapping[str, int], new_phase: bool
) -> PhasedFlag:
    """The new flag with phases and seeds. ``used`` has the last phase of each rule that there was, also of rules that
    were taken away; with ``new_phase`` every rule that divides its units begins one."""
    before = {each.id: each for each in old.ordered_rules} if old else {}
    rules: list[FlagRule] = []
    seeds: dict[str, str] = {}
    notes: list[str] = []
    for rule in new.ordered_rules:
        known = before.get(rule.id)
        if known and not (new_phase and rule.variations) and not _is_anew(known, rule):
            if weights_of(known) != weights_of(rule):
                notes.append(f"rule {rule.id}: units keep their variation, new ones are divided by the new weights")
            rules.append(replace(rule, phase=known.phase, seed=known.seed))
            continue
        phase = used.get(rule.id, 0) + 1
        own = rule.seed if not known or rule.seed != known.seed else ""
        seeds[rule.id] = own or f"{name}.{rule.id}.{phase}"
        if known:
            notes.append(f"rule {rule.id}: phase {phase} begins, in which units are divided anew")
        rules.append(replace(rule, phase=phase, seed=seeds[rule.id]))
    return PhasedFlag(replace(new, ordered_rules=tuple(rules)), seeds, tuple(notes))


def _is_anew(old: FlagRule, new: FlagRule) -> bool:
    """Whether the units of a rule have to be divided by another seed."""
    if old.unit != new.unit or bool(old.variations) != bool(new.variations) or new.seed not in ("", old.seed):
        return True
    names = [each.name for each in new.variations]
    if new.sticky and old.sticky and set(names) >= {each.name for each in old.variations}:
        return False
    return names != [each.name for each in old.variations] or weights_of(old) != weights_of(new)
