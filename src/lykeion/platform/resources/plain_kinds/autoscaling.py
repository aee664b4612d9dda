"""Autoscaling: how many replicas serve, by what they have to do."""

from typing import Annotated, ClassVar

from msgspec import Meta

from lykeion.control import SpecRule, Time, Wire
from lykeion.platform.resources.programs import Quantity


class Autoscaling(Wire, frozen=True):
    """The number of replicas at which each has the target's load, as Kubernetes' HorizontalPodAutoscaler finds it."""

    max_replicas: Annotated[int, Meta(ge=1, le=1000, description="At most so many.")]
    min_replicas: Annotated[int, Meta(ge=1, le=1000, description="At least so many.")] = 1
    target_in_flight: (
        Annotated[float, Meta(ge=0.001, le=10_000, description="Requests in progress, by replica.")] | None
    ) = None
    target_cpu: (
        Annotated[Quantity, Meta(description="Cores in use by a replica, on average, such as 800m.")] | None
    ) = None
    scale_up_stabilization_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="It grows to the least number that was needed in so many seconds.")
    ] = 0
    scale_down_stabilization_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="It shrinks to the greatest number that was needed in so many seconds.")
    ] = 300

    rules: ClassVar[tuple[SpecRule, ...]] = (
        SpecRule(
            "minReplicas is more than maxReplicas",
            "self.minReplicas <= self.maxReplicas",
            lambda scaling: scaling.min_replicas <= scaling.max_replicas,
        ),
        SpecRule(
            "give targetInFlight or targetCpu",
            "has(self.targetInFlight) || has(self.targetCpu)",
            lambda scaling: scaling.target_in_flight is not None or scaling.target_cpu is not None,
        ),
    )


class Recommendation(Wire, frozen=True):
    """How many replicas the load asked for."""

    at: Time
    replicas: int
