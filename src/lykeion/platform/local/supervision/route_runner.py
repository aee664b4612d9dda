"""Routes: which replicas the proxy is told to pass requests on to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import structs

from lykeion.control import AnyResource, Condition, merged
from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.local.proxy.route_table import RoutedGroup, RoutedService, ServingReplica
from lykeion.platform.resources.route import Route

from .runner import RunnerStep


class RouteRunner:
    """``routes`` are all there are, ``url`` that of a service of a namespace."""

    def __init__(
        self, routes: Callable[[], Sequence[Route]], url: Callable[[str, str], str], now: Callable[[], datetime]
    ) -> None:
        self._routes, self._url, self._now = routes, url, now

    def adopt(self, resource: AnyResource) -> None:
        pass

    async def step(self, resource: Route, room: int) -> RunnerStep:
        first = next(each for each in accepted(self._routes(), _service(resource)))
        taken = first.metadata.uid != resource.metadata.uid
        condition = Condition(
            type="Accepted",
            status="False" if taken else "True",
            reason="ServiceTaken" if taken else "Accepted",
            message=f"{first.key} has this service already" if taken else "",
        )
        url = "" if taken else self._url(resource.metadata.namespace, resource.spec.service)
        conditions = merged(resource.status.conditions, self._now(), condition)
        return RunnerStep(structs.replace(resource.status, url=url, conditions=conditions))

    async def retire(self, resource: AnyResource) -> float | None:
        return None


def routed_services(
    routes: Sequence[Route], groups: Iterable[AnyResource], serving: Mapping[str, Sequence[Attempt]]
) -> list[RoutedService]:
    """``serving`` holds the attempts that get requests, by the uid of their group."""
    uids = {(each.metadata.namespace, each.metadata.name): each.metadata.uid for each in groups}

    def replicas(namespace: str, group: str) -> tuple[ServingReplica, ...]:
        uid = uids.get((namespace, group), "")
        return tuple(ServingReplica(f"{uid}/{each.name}", each.port) for each in serving.get(uid, ()))

    found: list[RoutedService] = []
    for namespace, service in sorted({_service(each) for each in routes}):
        route = accepted(routes, (namespace, service))[0]
        weighted = [
            RoutedGroup(each.group, each.weight, replicas(namespace, each.group)) for each in route.spec.groups
        ]
        found.append(RoutedService(namespace, route.metadata.name, service, tuple(weighted)))
    return found


def accepted(routes: Sequence[Route], service: tuple[str, str]) -> list[Route]:
    """The routes of a service, of which the first, the oldest, gets its requests."""
    same = [each for each in routes if _service(each) == service]
    return sorted(same, key=lambda each: (str(each.metadata.creation_timestamp), each.metadata.uid))


def _service(route: Route) -> tuple[str, str]:
    return route.metadata.namespace, route.spec.service


def service_variable(service: str) -> str:
    """The variable by which programs of its namespace find a service: ``photo-search`` by ``PHOTO_SEARCH_URL``."""
    return f"{service.upper().replace('-', '_')}_URL"
