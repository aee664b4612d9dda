"""What a Serving's controller learns from the proxy's counts: evidence on a new version, and how many replicas."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import structs

from lykeion.control import Lookup
from lykeion.core import LykeionError
from lykeion.platform.lookups import GroupCores, GroupCounts, PrometheusCounts, ReplicaCounts, RouteCounts
from lykeion.platform.policies.rollouts import PERIOD_S, kept, look, next_look, recommended, stabilized
from lykeion.platform.resources.plain_kinds import Autoscaling, Recommendation
from lykeion.platform.resources.programs import quantity
from lykeion.platform.resources.servings import CanaryAnalysis, Serving, ServingStatus

from .serving_view import ServingView


def load_lookups(view: ServingView, now: datetime) -> list[Lookup]:
    """What has to be known now."""
    serving, scaling = view.serving, view.serving.spec.autoscaling
    due = scaling if _scaling_due(serving.status, now) and not view.place.scales else None
    lookups: list[Lookup] = []
    if due and due.target_in_flight is not None:
        lookups.append(_counts_of(view))
    if _look_due(serving, now):
        lookups += [each for each in _evidence_of(view).values() if each not in lookups]
    if due and due.target_cpu is not None:
        lookups += _cores_of(view)
    return lookups


def with_evidence(view: ServingView, status: ServingStatus, now: datetime) -> ServingStatus:
    """The status after a look at the counts, if one is due."""
    rollout, analysis = status.rollout, _analysis(view.serving)
    if rollout is None or analysis is None or status.stable is None or not _look_due(view.serving, now):
        return status
    counts = _compared(view)
    if counts is None or not view.has_weight(rollout):
        seen = structs.replace(rollout.analysis, looked=now, since="")
    else:
        canary, stable = (_counted(counts, view.group_name(each)) for each in (rollout.version, status.stable))
        seen = look(rollout.analysis, analysis, canary, stable, now)
    return structs.replace(status, rollout=structs.replace(rollout, analysis=seen))


def with_replicas(view: ServingView, status: ServingStatus, now: datetime) -> ServingStatus:
    """The status with the number of replicas of the stable version."""
    spec = view.serving.spec
    if spec.autoscaling is None:
        return structs.replace(status, replicas=spec.replicas, recommendations=())
    if view.place.scales:
        return structs.replace(status, replicas=_scaled_by_place(view, status, spec.autoscaling), recommendations=())
    scaling = spec.autoscaling
    if not status.recommendations:
        first = _within(spec.replicas, scaling)
        return structs.replace(status, replicas=first, recommendations=(Recommendation(at=now, replicas=first),))
    if not _scaling_due(status, now):
        return status
    latest = recommended(scaling, status.replicas, view.ready(status.stable), _loads(view, scaling), now)
    recommendations = kept(scaling, (*status.recommendations, latest))
    return structs.replace(
        status,
        replicas=stabilized(scaling, status.replicas, recommendations),
        recommendations=recommendations,
    )


def autoscaling_of_stable(view: ServingView, status: ServingStatus) -> Autoscaling | None:
    """What the place is asked to scale by: no fewer than there are while a rollout takes requests away."""
    scaling = view.serving.spec.autoscaling
    if scaling is None or scaling.target_cpu is None or not view.place.scales:
        return None
    if status.rollout is None:
        return scaling
    return structs.replace(scaling, min_replicas=_within(status.replicas, scaling))


def seconds_until_scaling(status: ServingStatus, now: datetime) -> float | None:
    if not status.recommendations:
        return None
    return max(0.0, (status.recommendations[-1].at + timedelta(seconds=PERIOD_S) - now).total_seconds())


def _scaled_by_place(view: ServingView, status: ServingStatus, scaling: Autoscaling) -> int:
    """What the place has scaled the stable version to; no less while a rollout has a part of the load."""
    group = view.group(status.stable)
    if group is None or scaling.target_cpu is None:
        return _within(max(view.serving.spec.replicas, status.replicas), scaling)
    return max(group.spec.replicas, status.replicas if status.rollout else 0)


def _within(replicas: int, scaling: Autoscaling) -> int:
    return min(max(replicas, scaling.min_replicas), scaling.max_replicas)


def _look_due(serving: Serving, now: datetime) -> bool:
    rollout, analysis = serving.status.rollout, _analysis(serving)
    if rollout is None or not rollout.weight or analysis is None:
        return False
    due = next_look(rollout.analysis, analysis)
    return due is not None and due <= now


def _analysis(serving: Serving) -> CanaryAnalysis | None:
    return serving.spec.canary and serving.spec.canary.analysis


def _scaling_due(status: ServingStatus, now: datetime) -> bool:
    return seconds_until_scaling(status, now) == 0


def _loads(view: ServingView, scaling: Autoscaling) -> list[tuple[float, float]]:
    """Pairs of load and target; what could not be looked up is left out."""
    found: list[tuple[float, float]] = []
    counts = _group_counts(view)
    if scaling.target_in_flight is not None and counts is not None:
        found.append((sum(each.in_flight for each in counts.values()), scaling.target_in_flight))
    cores: list[Any] = [view.observed.read.get(each) for each in _cores_of(view)]
    if scaling.target_cpu is not None and not any(each is None or isinstance(each, LykeionError) for each in cores):
        found.append((sum(cores), quantity(scaling.target_cpu)))
    return found


def _counts_of(view: ServingView) -> RouteCounts:
    return RouteCounts(view.serving.metadata.namespace, view.route_name)


def _evidence_of(view: ServingView) -> dict[str, Lookup]:
    """Where the counts of each group are looked up."""
    status, analysis = view.serving.status, _analysis(view.serving)
    versions = [each for each in (status.stable, status.rollout and status.rollout.version) if each]
    groups = [view.group_name(each) for each in versions]
    if analysis is None or uncounted(view):
        return {}
    return {group: count_lookup(view, analysis, group) for group in groups}


def uncounted(view: ServingView) -> bool:
    """Whether the analysis compares counts that its place does not have."""
    analysis = _analysis(view.serving)
    return analysis is not None and not (
        view.place.counts_requests or analysis.prometheus or analysis.replica_metrics
    )


def count_lookup(view: ServingView, analysis: CanaryAnalysis, group: str) -> Lookup:
    """Of the source that the analysis names, by default the proxy."""
    if analysis.prometheus:
        asked = analysis.prometheus
        requests, failures, slow = (
            (each or "").replace("$(group)", group) for each in (asked.requests, asked.failures, asked.slow)
        )
        return PrometheusCounts(asked.url, requests, failures, slow, analysis.slow_seconds or 0.0)
    if counted := analysis.replica_metrics:
        requests, failures = (
            (each.name, tuple(each.labels.items())) for each in (counted.requests, counted.failures)
        )
        namespace = view.serving.metadata.namespace
        return ReplicaCounts(namespace, group, counted.path, requests, failures, counted.latency or "")
    return _counts_of(view)


def _compared(view: ServingView) -> Mapping[str, GroupCounts] | None:
    """The counts that are compared, by group; None if one cannot be had."""
    counts: dict[str, GroupCounts] = {}
    asked_of = _evidence_of(view)
    if not asked_of:
        return None
    for group, asked in asked_of.items():
        answer = view.observed.read.get(asked)
        if answer is None or isinstance(answer, LykeionError):
            return None
        counts |= answer if isinstance(asked, RouteCounts) else {group: answer}
    return counts


def _cores_of(view: ServingView) -> list[GroupCores]:
    status = view.serving.status
    versions = [status.stable, status.rollout and status.rollout.version]
    return [GroupCores(view.serving.metadata.namespace, view.group_name(each)) for each in versions if each]


def _group_counts(view: ServingView) -> Mapping[str, GroupCounts] | None:
    answer = view.observed.read.get(_counts_of(view))
    return None if answer is None or isinstance(answer, LykeionError) else answer


def _counted(counts: Mapping[str, GroupCounts], group: str) -> GroupCounts:
    """A group that got no request since the proxy started has no counts, and 0 of each."""
    since = next((each.since for each in counts.values()), "")
    return counts.get(group) or GroupCounts(since, 0, 0, 0, {})
