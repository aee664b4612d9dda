"""Halt rules as text: ``crash x2``, ``crash > 1%``, ``p90_ms > 40``, ``silence x1.5 @10``.

``@10`` sets the minimum of events. A rule prints as it is written.
"""

import re

from lykeion.core import Invalid

from .rollout_resource import HaltRule

_RULE = re.compile(
    r"\s*(?:p(?P<quantile>\d{1,2})_)?(?P<metric>[a-z][a-z0-9_]*)\s*"
    r"(?:x\s*(?P<ratio>[\d.]+)|>\s*(?P<above>-?[\d.]+)(?P<percent>\s*%)?)\s*(?:@\s*(?P<events>\d+))?\s*"
)


class HaltRuleError(Invalid):
    """A text that is no halt rule."""


def parse_halt_rule(text: str) -> HaltRule:
    """Raises HaltRuleError."""
    found = _RULE.fullmatch(text)
    if found is None:
        raise HaltRuleError(f"{text!r} is no halt rule; write it as 'crash x2', 'crash > 1%' or 'p90_ms > 40'")
    events = {"minimum_events": int(found["events"])} if found["events"] else {}
    number = _number(found["ratio"] or found["above"], text)
    if found["ratio"] and not found["quantile"]:
        _within(text, "the ratio", number, 1.1, 100)
        return HaltRule(metric=found["metric"], ratio=number, **events)
    if found["percent"] and not found["quantile"]:
        _within(text, "the share, in percent,", number, 0.01, 50)
        return HaltRule(metric=found["metric"], share=number / 100, **events)
    if found["quantile"] and found["above"] and not found["percent"]:
        _within(text, "the quantile, in percent,", int(found["quantile"]), 50, 99)
        return HaltRule(metric=found["metric"], above=number, quantile=int(found["quantile"]) / 100, **events)
    raise HaltRuleError(
        f"{text!r}: compare a metric by 'x2', limit its share by '> 1%', or a quantile by 'p90_ms > 40'"
    )


def halt_rule_text(rule: HaltRule) -> str:
    events = (
        "" if rule.minimum_events == HaltRule(metric="m", ratio=2.0).minimum_events else f" @{rule.minimum_events}"
    )
    if rule.ratio is not None:
        return f"{rule.metric} x{rule.ratio:g}{events}"
    if rule.share is not None:
        return f"{rule.metric} > {100 * rule.share:g}%{events}"
    return f"p{100 * rule.quantile:.0f}_{rule.metric} > {rule.above:g}{events}"


def _within(rule: str, what: str, number: float, least: float, most: float) -> None:
    if not least <= number <= most:
        raise HaltRuleError(f"{rule!r}: {what} is {number:g}; it must be from {least:g} to {most:g}")


def _number(text: str, rule: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise HaltRuleError(f"{rule!r}: {text!r} is no number") from None
