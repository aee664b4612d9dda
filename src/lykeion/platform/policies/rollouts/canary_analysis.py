"""What the counts of requests say of a new version: from two readings of the counters to a verdict."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec import structs

from lykeion.core.odds_ratio_test import FailureTable, log_average
from lykeion.platform.lookups import GroupCounts
from lykeion.platform.resources.servings import AnalysisStatus, CanaryAnalysis, Evidence, RequestTotals

from .canary_test import DECISIVE, harm, no_harm

Verdict = Literal["Harm", "NoHarm", "Unknown"]


def begin_step(analysis: AnalysisStatus, now: datetime) -> AnalysisStatus:
    """The weights change now, so an interval begins; whether the version is harmless is tested in each step."""
    return structs.replace(analysis, looked=now, since="", no_harm=())


def next_look(analysis: AnalysisStatus, spec: CanaryAnalysis) -> datetime | None:
    return analysis.looked and analysis.looked + timedelta(seconds=spec.interval_seconds)


def look(
    before: AnalysisStatus, spec: CanaryAnalysis, canary: GroupCounts, stable: GroupCounts, now: datetime
) -> AnalysisStatus:
    """The evidence with one more interval, unless the counters began again in it."""
    read = structs.replace(
        before,
        looked=now,
        since=f"{canary.since} {stable.since}"[:128],
        canary=_totals(canary, spec),
        stable=_totals(stable, spec),
    )
    own, other = _difference(read.canary, before.canary), _difference(read.stable, before.stable)
    if read.since != before.since or own is None or other is None:
        return read
    tables = _tables(own, other, spec)
    return structs.replace(
        read,
        canary_seen=_sum(before.canary_seen, own),
        stable_seen=_sum(before.stable_seen, other),
        harm=tuple(
            harm(evidence, table, spec.harm_ratio)
            for evidence, table in zip(_continued(before.harm, tables), tables, strict=True)
        ),
        no_harm=tuple(
            no_harm(evidence, table, spec.harm_ratio, spec.tolerated_share)
            for evidence, table in zip(_continued(before.no_harm, tables), tables, strict=True)
        ),
    )


def verdict(analysis: AnalysisStatus) -> Verdict:
    """Harm by any measure, averaged, so that two measures raise no more false alarms; no harm by each of them."""
    if log_average([each.logs for each in analysis.harm]) >= DECISIVE:
        return "Harm"
    if analysis.no_harm and all(log_average([each.logs]) >= DECISIVE for each in analysis.no_harm):
        return "NoHarm"
    return "Unknown"


def described(analysis: AnalysisStatus, spec: CanaryAnalysis) -> str:
    """Such as ``9 of 580 requests failed, stable: 26 of 5220``."""
    own, other = analysis.canary_seen, analysis.stable_seen
    failed = f"{own.failures} of {own.requests} requests failed, stable: {other.failures} of {other.requests}"
    if spec.slow_seconds is None:
        return failed
    return f"{failed}; {own.slow} took more than {spec.slow_seconds:g} s, stable: {other.slow}"


def _totals(counts: GroupCounts, spec: CanaryAnalysis) -> RequestTotals:
    """Of requests that have ended: how long the others will take is not known."""
    ended = counts.requests - counts.in_flight
    return RequestTotals(requests=ended, failures=counts.failures, slow=_slow(counts, spec.slow_seconds))


def _slow(counts: GroupCounts, seconds: float | None) -> int:
    """Requests above the next bucket edge."""
    if seconds is None or not counts.buckets:
        return 0
    edge = min((each for each in counts.buckets if each >= seconds), default=math.inf)
    return counts.buckets[math.inf] - counts.buckets[edge]


def _tables(own: RequestTotals, other: RequestTotals, spec: CanaryAnalysis) -> list[FailureTable]:
    failed = FailureTable(own.requests, own.failures, other.requests, other.failures)
    return (
        [failed]
        if spec.slow_seconds is None
        else [failed, FailureTable(own.requests, own.slow, other.requests, other.slow)]
    )


def _continued(evidence: Sequence[Evidence], tables: Sequence[FailureTable]) -> Sequence[Evidence]:
    """Begun again where the spec now compares something else."""
    return evidence if len(evidence) == len(tables) else (Evidence(),) * len(tables)


def _difference(now: RequestTotals, before: RequestTotals) -> RequestTotals | None:
    """None if it cannot be one: a counter fell, or there are more failures than requests."""
    made = RequestTotals(
        requests=now.requests - before.requests, failures=now.failures - before.failures, slow=now.slow - before.slow
    )
    possible = 0 <= made.failures <= made.requests and 0 <= made.slow <= made.requests
    return made if possible else None


def _sum(one: RequestTotals, other: RequestTotals) -> RequestTotals:
    return RequestTotals(
        requests=one.requests + other.requests,
        failures=one.failures + other.failures,
        slow=one.slow + other.slow,
    )
