"""Are good versions promoted and bad ones rolled back? The policies of a Serving on simulated traffic.

Beside them, on traffic of the same kind with steps by time, what is common: a z-test on pooled counts at every look,
and a fixed limit. Writes docs/benchmarks/canary.md. Fails if more than 5 % of the harmless versions of a scenario are
rolled back, or fewer than 90 % of those harmful ones that the first step can find.

    python benchmarks/canary.py [--traces 200]
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from measuring.canary_traces import HARMFUL, HARMLESS, INTERVAL_S, LATE, Counters, Scenario, Traffic
from measuring.machine import describe
from msgspec import structs

from lykeion.platform.policies.rollouts.canary_analysis import look
from lykeion.platform.policies.rollouts.rollout_steps import RolloutEnd, Signals, advance
from lykeion.platform.resources.servings.canary import Canary, CanaryAnalysis, CanaryStep
from lykeion.platform.resources.servings.rollout import RolloutStatus, ServingVersion

ROOT = Path(__file__).parents[1]
START = datetime(2026, 11, 1, tzinfo=UTC)
ANALYSIS = CanaryAnalysis(
    slow_seconds=0.5, interval_seconds=INTERVAL_S, deadline_seconds=1200, when_inconclusive="Rollback"
)
CANARY = Canary(steps=tuple(CanaryStep(weight=each, pause_seconds=120) for each in (10, 25, 50)), analysis=ANALYSIS)
STEP_S = 300
"""Of the rollouts that are judged by the other rules."""
Looks = Sequence[tuple[Counters, Counters]]
Rule = Callable[[Looks], bool]


@dataclass(frozen=True)
class Outcome:
    reason: str
    step: int
    """In which it ended, from 0."""
    seconds: float


@click.command(help=__doc__)
@click.option("--traces", type=click.IntRange(1), default=200, show_default=True, help="Of each scenario.")
@click.option("--page", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks" / "canary.md")
def main(traces: int, page: Path) -> None:
    rows = {scenario: judged(scenario, traces) for scenario in (*HARMLESS, *HARMFUL, *LATE)}
    page.write_text("\n".join(report(rows, traces)) + "\n")
    print(page.read_text())
    if wrong := [each.name for each, row in rows.items() if not row.holds(each)]:
        sys.exit(f"not as promised: {', '.join(wrong)}")


@dataclass(frozen=True)
class Row:
    outcomes: list[Outcome]
    pooled: float
    """Share that the z-test rolls back; ``limit``: the fixed limit."""
    limit: float

    def share(self, reason: str, last_step: int = len(CANARY.steps)) -> float:
        return sum(each.reason == reason and each.step <= last_step for each in self.outcomes) / len(self.outcomes)

    @property
    def seconds(self) -> float:
        """Median until harm was found, or until it was promoted."""
        end = "Harm" if self.share("Harm") > self.share("Promoted") else "Promoted"
        return float(np.median([each.seconds for each in self.outcomes if each.reason == end] or [math.nan]))

    def holds(self, scenario: Scenario) -> bool:
        if scenario in HARMLESS:
            return self.share("Harm") <= 0.05
        return scenario in LATE or self.share("Harm", last_step=0) >= 0.9


def judged(scenario: Scenario, traces: int) -> Row:
    def rngs() -> Iterator[np.random.Generator]:
        return map(np.random.default_rng, range(traces))

    return Row(
        [rollout(Traffic(scenario, rng)) for rng in rngs()],
        float(np.mean([rolled_back(Traffic(scenario, rng), z_test) for rng in rngs()])),
        float(np.mean([rolled_back(Traffic(scenario, rng), fixed_limit) for rng in rngs()])),
    )


def rollout(traffic: Traffic) -> Outcome:
    """As the controller drives it, at every interval."""
    state, now = RolloutStatus(number=1, version=ServingVersion(hash="new"), since=START), START
    while True:
        traffic.go_on(state.weight)
        if state.weight:
            canary, stable = (each.group_counts() for each in traffic.counters)
            analysis = look(state.analysis, ANALYSIS, canary, stable, now)
            state = structs.replace(state, analysis=analysis)
        after = advance(state, CANARY, 600, Signals(wanted=1, ready=1), now)
        if isinstance(after, RolloutEnd):
            return Outcome(after.reason, state.step, (now - START).total_seconds())
        state, now = after, now + timedelta(seconds=INTERVAL_S)


def rolled_back(traffic: Traffic, rule: Rule) -> bool:
    """Whether the rule says so at any look, while the steps follow the clock."""
    looks = [traffic.counters]
    for step in CANARY.steps:
        for _ in range(STEP_S // INTERVAL_S):
            traffic.go_on(step.weight)
            looks.append(traffic.counters)
            if rule(looks):
                return True
    return False


def z_test(looks: Looks) -> bool:
    """The pooled counts of failures, or of slow requests, differ by a one-sided test at 5 %."""
    new, stable = looks[-1]
    return any(
        _z(one, new.requests, other, stable.requests) > 1.645
        for one, other in ((new.failures, stable.failures), (new.slow, stable.slow))
    )


def fixed_limit(looks: Looks) -> bool:
    """In each of the last five minutes more than 1 % of the new version's requests failed, as Flagger's default."""
    minute = 60 // INTERVAL_S
    ends = [new for new, _ in looks[::-minute][:6]]
    pairs = list(pairwise(ends))
    return len(pairs) == 5 and all(
        now.failures - before.failures > 0.01 * (now.requests - before.requests) for now, before in pairs
    )


def _z(failures: int, requests: int, other_failures: int, other_requests: int) -> float:
    if not requests or not other_requests:
        return 0.0
    pooled = (failures + other_failures) / (requests + other_requests)
    error = math.sqrt(pooled * (1 - pooled) * (1 / requests + 1 / other_requests))
    return (failures / requests - other_failures / other_requests) / error if error else 0.0


def report(rows: dict[Scenario, Row], traces: int) -> Iterator[str]:
    yield "# The canary test"
    yield ""
    yield (
        f"{traces * len(rows):,} simulated rollouts, {traces} of each kind, {describe()}. The stable version fails "
        "in .5 % of 50 requests a second, and 5 % are slow, unless the table says otherwise. Three steps of at least "
        f"two minutes with 10, 25 and 50 % of the requests; `harmRatio` {ANALYSIS.harm_ratio:g}, `toleratedShare` "
        f"{ANALYSIS.tolerated_share:g}, `intervalSeconds` {ANALYSIS.interval_seconds}, a deadline of "
        f"{ANALYSIS.deadline_seconds} s a step. Failures and latency are both compared."
    )
    yield ""
    yield (
        "Beside them: a z-test on the counts since the rollout began, looked at every 10 s; and the rule that the "
        f"success rate is below 99 % in five minutes in a row, Flagger's default. Their steps take {STEP_S} s each."
    )
    for title, scenarios in (
        ("Harmless: both versions are alike", HARMLESS),
        ("Harmful, with enough requests in the first step", HARMFUL),
        ("Harmful, but less so, later, or hardly seen", LATE),
    ):
        yield ""
        yield f"## {title}"
        yield ""
        yield (
            "| new version | promoted | rolled back | in the first step | inconclusive | median s "
            "| z-test rolls back | fixed limit rolls back |"
        )
        yield "|---|---:|---:|---:|---:|---:|---:|---:|"
        for scenario in scenarios:
            row = rows[scenario]
            shares = (
                row.share("Promoted"),
                row.share("Harm"),
                row.share("Harm", 0),
                row.share("Inconclusive"),
            )
            yield (
                f"| {scenario.name} | {' | '.join(_percent(each) for each in shares)} | {row.seconds:.0f} "
                f"| {_percent(row.pooled)} | {_percent(row.limit)} |"
            )
    yield ""
    yield "Seconds are those until the new version is promoted, or rolled back, whichever is more frequent."
    yield ""
    yield "`python benchmarks/canary.py` writes this page."


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


if __name__ == "__main__":
    main()
