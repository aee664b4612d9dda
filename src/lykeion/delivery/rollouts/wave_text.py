"""Waves, hours, durations and rates as people type them: ``ring:staff,1%,100%``, ``22-5``, ``36h``, ``crash=1%``."""

import re
from collections.abc import Iterable

from lykeion.core import Invalid

from .rollout_resource import LocalTimeWindow, Wave

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NAMED = re.compile(r"(ring|device):([^\s+,]+(?:\+[^\s+,]+)*)")
_DURATION = re.compile(r"(\d+)([smhdw])")
_RATE = re.compile(r"([a-z][a-z0-9_]*)=(\d*\.?\d+(?:e-?\d+)?)(%?)")


class RolloutTextError(Invalid):
    """Waves, a duration or a rate that cannot be read."""


def parse_waves(text: str, soak_seconds: int, approvals: int = 0) -> tuple[Wave, ...]:
    """Raises RolloutTextError."""
    waves = tuple(_wave(each.strip(), text, soak_seconds, approvals) for each in text.split(","))
    percentages = [each.percent for each in waves if each.percent is not None]
    if percentages != sorted(set(percentages)):
        raise RolloutTextError(f"{text!r}: percentages of waves have to grow")
    return waves


def _wave(part: str, text: str, soak_seconds: int, approvals: int) -> Wave:
    if named := _NAMED.fullmatch(part):
        names = tuple(named[2].split("+"))
        rings, devices = (names, ()) if named[1] == "ring" else ((), names)
        return Wave(rings=rings, devices=devices, soak_seconds=soak_seconds, approvals=approvals)
    number = part.removesuffix("%")
    if part == number or not re.fullmatch(r"\d+(\.\d+)?", number) or not 0 < float(number) <= 100:
        raise RolloutTextError(
            f"{text!r}: write waves as percentages of the fleet, such as 1%,10%,50%,100%, as ring:staff or as "
            "device:d-1+d-2"
        )
    return Wave(percent=float(number), soak_seconds=soak_seconds, approvals=approvals)


def parse_hours(text: str) -> LocalTimeWindow:
    """Such as ``22-5``: from 22:00 until 5:00. Raises RolloutTextError."""
    found = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text.strip())
    if found is None or max(int(found[1]), int(found[2])) > 23 or int(found[1]) == int(found[2]):
        raise RolloutTextError(f"{text!r}: write hours of a device's day from 0 to 23, such as 1-5 or 22-6")
    return LocalTimeWindow(from_hour=int(found[1]), until_hour=int(found[2]))


def parse_seconds(text: str) -> int:
    """Raises RolloutTextError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise RolloutTextError(f"{text!r}: write a duration with its unit, such as 30m, 36h or 14d")
    return int(found[1]) * _UNITS[found[2]]


def parse_rates(texts: Iterable[str], most: float = 1000.0) -> dict[str, float]:
    """By metric, from 0 to less than ``most``. Raises RolloutTextError."""
    rates: dict[str, float] = {}
    for text in texts:
        found = _RATE.fullmatch(text.replace(" ", ""))
        if found is None:
            raise RolloutTextError(f"{text!r}: write a metric and a number, such as crash=0.1% or crash=2")
        rates[found[1]] = float(found[2]) / (100 if found[3] else 1)
        if rates[found[1]] >= most:
            raise RolloutTextError(f"{text!r}: {found[1]} has to be less than {most:g}")
    return rates


def seconds_text(seconds: float) -> str:
    """In the largest unit that leaves no more than two digits behind it: ``36 h``."""
    unit = next((each for each in ("d", "h", "m") if seconds >= 2 * _UNITS[each]), "s")
    return f"{seconds / _UNITS[unit]:.3g} {unit}"
