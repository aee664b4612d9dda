"""Routes: which replicas the proxy is told to pass requests on to."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import structs

from lykeion.control import AnyResource, Condition, merged
from lykeion.platform.local.processes.attempt import Attempt
from lykeion.platform.local.proxy.route_table import RoutedGroup, RoutedService, ServingReplica
from lykeion.platform.resources.plain_kinds import Route

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
        first = oldest(each for each in self._routes() if _service(each) == _service(resource))
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

    by_service: dict[tuple[str, str], list[Route]] = {}
    for each in routes:
        by_service.setdefault(_service(each), []).append(each)
    found: list[RoutedService] = []
    for (namespace, service), same in sorted(by_service.items(), key=lambda each: each[0]):
        route = oldest(same)
        weighted = [RoutedGroup(one.group, one.weight, replicas(namespace, one.group)) for one in route.spec.groups]
        found.append(RoutedService(namespace, route.metadata.name, service, tuple(weighted)))
    return found


def oldest(routes: Iterable[Route]) -> Route:
    """Of the routes of one service the one that gets its requests."""
    return min(routes, key=lambda each: (str(each.metadata.creation_timestamp), each.metadata.uid))


def _service(route: Route) -> tuple[str, str]:
    return route.metadata.namespace, route.spec.service


def service_variable(service: str) -> str:
    """The variable by which programs of its namespace find a service: ``photo-search`` by ``PHOTO_SEARCH_URL``."""
    return f"{service.upper().replace('-', '_')}_URL"
