"""``lykeion experiment plan``: how many units a difference needs, before anything begins."""

import math
from typing import Any

import click

from lykeion.cli.options import FiniteRange, json_option
from lykeion.cli.output import print_json, print_table
from lykeion.core import print_line

MAX_TUNING = 1_000_000_000
"""As a declaration may have it."""
SHARES_OF_PLAN = (0.1, 0.25, 0.5, 0.75, 1.0)


class _ShareType(click.ParamType):
    """``5%`` or ``.05``."""

    name = "share"

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        try:
            number = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        except (AttributeError, ValueError):
            self.fail(f"{value!r} is no share such as 5% or .05", param, ctx)
        if not math.isfinite(number) or not 0 < abs(number) <= 10:
            self.fail(f"{value!r}: give a share of the base, such as 5%", param, ctx)
        return number


@click.command()
@click.argument("metric")
@click.option("--base", type=FiniteRange(0, 1e12, min_open=True), required=True, help="Its value now.")
@click.option("--mde", type=_ShareType(), required=True, metavar="5%", help="The smallest change that matters.")
@click.option("--spread", type=FiniteRange(0, 1e12, min_open=True), help="Standard deviation of units, of a mean.")
@click.option("--share", type=FiniteRange(0.001, 0.999), default=0.5, show_default=True, help="Of the treatment.")
@click.option("--alpha", type=FiniteRange(0.0001, 0.2), default=0.05, show_default=True, help="False findings.")
@click.option("--power", type=FiniteRange(0.5, 0.99), default=0.8, show_default=True, help="Of finding it.")
@click.option("--a-day", type=click.IntRange(1), help="Units that are exposed for the first time in a day.")
@click.option(
    "--tuning", type=click.IntRange(100, MAX_TUNING), default=5000, show_default=True, help="As tuningUnits."
)
@json_option
def plan(
    metric: str,
    base: float,
    mde: float,
    spread: float | None,
    share: float,
    alpha: float,
    power: float,
    a_day: int | None,
    tuning: int,
    as_json: bool,
) -> None:
    """Say how many units a change of METRIC needs, and what is seen at looks before.

    \b
      lykeion experiment plan click_rate --base .04 --mde 5% --a-day 20000

    Without --spread the metric is a proportion, and --base is below 1.
    """
    from lykeion.delivery.experiments import statistics

    after = base * (1 + mde)
    if spread is None and not (base < 1 and 0 < after < 1):
        raise click.UsageError("of a proportion, base and what it becomes are between 0 and 1; or give --spread")
    spreads = (spread**2, spread**2) if spread else (base * (1 - base), after * (1 - after))
    shares = (1 - share, share)
    effect = abs(after - base)
    once, always = statistics.planned_units(effect, spreads, shares, alpha, power, tuning)
    looks = [
        {
            "units": (units := math.ceil(part * always)),
            "control": round(units * shares[0]),
            "treatment": round(units * shares[1]),
            "days": math.ceil(units / a_day) if a_day else None,
            "sees": statistics.smallest_effect(units, spreads, shares, alpha, power, tuning) / base,
        }
        for part in SHARES_OF_PLAN
    ]
    if as_json:
        print_json({"metric": metric, "units": always, "units_with_one_look": once, "looks": looks})
        return
    print_line(f"{metric}: {base:g} to {after:g} is seen with a probability of {power:.0%} in {always:,} units")
    print_line(f"with one look at the end, {once:,} would do; nobody may look before")
    tuned_at = min(max(once, 100), MAX_TUNING)
    _, tuned = statistics.planned_units(effect, spreads, shares, alpha, power, tuned_at)
    if tuned < always:
        print_line(f"with tuningUnits: {tuned_at} in the declaration, {tuned:,} are enough")
    rows = [
        (
            f"{each['units']:,}",
            f"{each['control']:,}",
            f"{each['treatment']:,}",
            each["days"] or "",
            f"{each['sees']:.1%}",
        )
        for each in looks
    ]
    print_table(
        ("units", "control", "treatment", "days", "sees a change of"),
        rows,
        right=("units", "control", "treatment", "days", "sees a change of"),
    )
