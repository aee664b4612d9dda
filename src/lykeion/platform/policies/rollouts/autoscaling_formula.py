"""How many replicas the load needs, by the formula and the stabilization of Kubernetes' HorizontalPodAutoscaler.

https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from lykeion.platform.resources.plain_kinds import Autoscaling, Recommendation

TOLERANCE = 0.1
PERIOD_S = 15
_MAX_KEPT = 64


def needed(replicas: int, load: float, target: float) -> int:
    """At which each has the target's load. ``load`` is that of all replicas; within the tolerance nothing changes."""
    ratio = load / (replicas * target) if replicas else math.inf
    return replicas if abs(ratio - 1) <= TOLERANCE else math.ceil(load / target)


def recommended(
    scaling: Autoscaling, replicas: int, ready: int, loads: Iterable[tuple[float, float]], now: datetime
) -> Recommendation:
    """By the measure that needs most; ``loads`` are pairs of a load and its target.

    It does not shrink while replicas start, of whose load nothing is known.
    """
    most = max((needed(replicas, load, target) for load, target in loads), default=replicas)
    if most < replicas and ready < replicas:
        most = replicas
    return Recommendation(at=now, replicas=min(max(most, scaling.min_replicas), scaling.max_replicas))


def stabilized(scaling: Autoscaling, replicas: int, recommendations: Sequence[Recommendation]) -> int:
    """The number that the recommendations of the windows allow, of which the last is of now."""
    now = recommendations[-1].at
    up = min(_within(recommendations, now, scaling.scale_up_stabilization_seconds))
    down = max(_within(recommendations, now, scaling.scale_down_stabilization_seconds))
    return min(max(replicas, up), down)


def kept(scaling: Autoscaling, recommendations: Sequence[Recommendation]) -> tuple[Recommendation, ...]:
    """Those within the windows that are greater, or less, than all that followed: the others can decide nothing."""
    window_s = max(scaling.scale_up_stabilization_seconds, scaling.scale_down_stabilization_seconds)
    begin = recommendations[-1].at - timedelta(seconds=window_s)
    most, least, found = -1, math.inf, list[Recommendation]()
    for each in reversed(recommendations):
        if each.at >= begin and not least <= each.replicas <= most:
            found.append(each)
            most, least = max(most, each.replicas), min(least, each.replicas)
    return tuple(reversed(found[:_MAX_KEPT]))


def _within(recommendations: Sequence[Recommendation], now: datetime, seconds: int) -> list[int]:
    return [each.replicas for each in recommendations if each.at >= now - timedelta(seconds=seconds)]
