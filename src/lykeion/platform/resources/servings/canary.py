"""Canary: how a new version of a Serving gets requests step by step, and what is known of it so far."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from lykeion.control import SpecRule, Time, Wire
from lykeion.platform.resources.programs import Program

from .count_source import PrometheusQueries, ReplicaMetrics

MAX_STEPS = 16


class CanaryStep(Wire, frozen=True):
    """A share of the requests, and for how long at least."""

    weight: Annotated[int, Meta(ge=1, le=99, description="Percent of the requests that the new version gets.")]
    pause_seconds: Annotated[int, Meta(ge=0, le=604_800, description="The step takes at least so long.")] = 0


class Verify(Wire, frozen=True):
    """A command that finds wrong answers, such as one that sends queries whose answers are known."""

    program: Annotated[
        Program,
        Meta(description="Exit code 0 if all is well. `$CANARY_URL` is the new version, `$STABLE_URL` the service."),
    ]
    retries: Annotated[int, Meta(ge=0, le=10, description="Of the command, before the version is rolled back.")] = 0
    time_limit_seconds: Annotated[int, Meta(ge=1, le=86_400, description="Of one attempt.")] = 600


class CanaryAnalysis(Wire, frozen=True):
    """When a new version is harmful, by the requests that both versions get at the same time."""

    harm_ratio: Annotated[
        float,
        Meta(ge=1.2, le=100, description="A version that fails so many times as often as the stable one is harmful."),
    ] = 3.0
    tolerated_share: Annotated[
        float,
        Meta(ge=0.00001, le=0.5, description="A version that fails in a smaller share of its requests is harmless."),
    ] = 0.005
    slow_seconds: (
        Annotated[
            float,
            Meta(ge=0.001, le=10, description="Longer requests are compared as failures are; by default none."),
        ]
        | None
    ) = None
    interval_seconds: Annotated[int, Meta(ge=1, le=3600, description="Between two looks at the counts.")] = 10
    deadline_seconds: Annotated[
        int, Meta(ge=1, le=2_592_000, description="Of one step; then too little is known, which is `Inconclusive`.")
    ] = 3600
    when_inconclusive: Annotated[
        Literal["Wait", "Promote", "Rollback"],
        Meta(description="At the deadline: wait until someone decides, go on to the next step, or roll back."),
    ] = "Wait"
    prometheus: Annotated[PrometheusQueries, Meta(description="Counts of a Prometheus server.")] | None = None
    replica_metrics: (
        Annotated[ReplicaMetrics, Meta(description="Counts of the replicas; by default the proxy's.")] | None
    ) = None

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "deadlineSeconds is less than four times intervalSeconds, and nothing is found sooner",
            "self.deadlineSeconds >= 4 * self.intervalSeconds",
            lambda analysis: analysis.deadline_seconds >= 4 * analysis.interval_seconds,
        ),
        SpecRule(
            "give prometheus or replicaMetrics",
            "!has(self.prometheus) || !has(self.replicaMetrics)",
            lambda analysis: analysis.prometheus is None or analysis.replica_metrics is None,
        ),
        SpecRule(
            "slowSeconds needs the query slow, or the histogram latency",
            "!has(self.slowSeconds) || (has(self.prometheus) ? has(self.prometheus.slow) : "
            "!has(self.replicaMetrics) || has(self.replicaMetrics.latency))",
            lambda analysis: (
                analysis.slow_seconds is None
                or (
                    (analysis.prometheus is None or analysis.prometheus.slow is not None)
                    and (analysis.replica_metrics is None or analysis.replica_metrics.latency is not None)
                )
            ),
        ),
    )


class Canary(Wire, frozen=True):
    """A new version gets few requests first; a harmful one is rolled back."""

    steps: Annotated[
        tuple[CanaryStep, ...],
        Meta(min_length=1, max_length=MAX_STEPS, description="One after another; after the last it gets all."),
    ]
    verify: (
        Annotated[Verify, Meta(description="Run before the first step and at each; a failure rolls back.")] | None
    ) = None
    analysis: (
        Annotated[CanaryAnalysis, Meta(description="Compares failures and latency; by default only time passes.")]
        | None
    ) = None


class Evidence(Wire, frozen=True):
    """An e-process: its natural logarithm for each alternative, and the number of intervals."""

    logs: Annotated[tuple[float, ...], Meta(max_length=4)] = ()
    intervals: int = 0


class RequestTotals(Wire, frozen=True):
    requests: int = 0
    failures: int = 0
    slow: int = 0


class AnalysisStatus(Wire, frozen=True):
    """``harm`` and ``no_harm`` hold the evidence from failures, and from slow requests if they are compared."""

    looked: Time | None = None
    since: Annotated[str, Meta(max_length=128)] = ""
    """Tells apart the processes that count."""
    canary: RequestTotals = RequestTotals()
    stable: RequestTotals = RequestTotals()
    """The counters at the last look."""
    canary_seen: RequestTotals = RequestTotals()
    stable_seen: RequestTotals = RequestTotals()
    """Of all intervals that were compared."""
    harm: Annotated[tuple[Evidence, ...], Meta(max_length=2)] = ()
    no_harm: Annotated[tuple[Evidence, ...], Meta(max_length=2)] = ()
    """Of this step."""
