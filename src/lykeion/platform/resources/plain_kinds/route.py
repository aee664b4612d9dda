"""Route: requests for one name, distributed over groups by weight, like the Gateway API's HTTPRoute."""

from typing import Annotated

from msgspec import Meta

from lykeion.control import Column, Conditions, Name, Resource, ResourceKind, Wire


class WeightedGroup(Wire, frozen=True):
    """``weight`` is relative to the sum of all weights of groups with ready replicas; 0 gets no requests."""

    group: Name
    weight: Annotated[int, Meta(ge=0, le=1_000_000)]


class RouteSpec(Wire, frozen=True):
    service: Name
    """Requests for ``/services/NAMESPACE/SERVICE/``, and those whose host is ``SERVICE.NAMESPACE``."""
    groups: Annotated[tuple[WeightedGroup, ...], Meta(max_length=16)] = ()


class RouteStatus(Wire, frozen=True):
    url: Annotated[str, Meta(max_length=1024)] = ""
    """Where programs on the platform reach it."""
    conditions: Conditions = ()


ROUTE = ResourceKind(
    "Route",
    "routes",
    RouteSpec,
    RouteStatus,
    "Requests for one name, distributed over groups.",
    columns=(Column("URL", ".status.url"),),
)
Route = Resource[RouteSpec, RouteStatus]
