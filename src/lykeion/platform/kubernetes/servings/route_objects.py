"""A Route as Kubernetes objects: Services over the pods of its groups, and an HTTPRoute with their weights. Pure.

Without the Gateway API each pod of the groups that have a weight gets the same share of the requests.
https://gateway-api.sigs.k8s.io/reference/1.4/spec/#httproute
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from lykeion.control import GROUP, AnyResource, Condition, merged
from lykeion.platform.kubernetes.objects import (
    HTTP_ROUTES,
    KIND_LABEL,
    NAME_LABEL,
    OWNER_UID_LABEL,
    SERVICES,
    ClusterFacts,
    KubeObject,
    ObjectChange,
    ObjectSource,
    Translation,
    holds,
    object_of,
    read_view,
    with_missing,
    written_annotations,
)
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, ROUTE, Route, RouteSpec, RouteStatus

from .gateways import GATEWAY, has_gateway
from .replica_group_objects import HTTP_PORT, group_labels, of_same_uid, service_spec

URL_ANNOTATION = f"{GROUP}/url"


def route_objects(route: AnyResource, facts: ClusterFacts) -> tuple[KubeObject, ...]:
    """The Service of the route's name, one of the service's name, and with a gateway an HTTPRoute."""
    names = dict.fromkeys((route.metadata.name, route.spec.service))
    annotations = {**written_annotations(route), URL_ANNOTATION: _url(route, facts)}
    selected = service_spec(_selector(route))
    services = [
        object_of(SERVICES, route, name, None if index else annotations, spec=selected)
        for index, name in enumerate(names)
    ]
    return (*services, *((_http_route(route, facts),) if has_gateway(facts) else ()))


def route_of(primary: KubeObject, others: Sequence[KubeObject]) -> AnyResource:
    url: str = primary["metadata"].get("annotations", {}).get(URL_ANNOTATION, "")
    route = read_view(ROUTE, primary, others, RouteStatus())
    routed = [each for each in others if each["kind"] == HTTP_ROUTES.kind]
    gateway = _accepted(routed[0]) if routed else None
    conditions = (gateway or _by_names(), _weighted(route.spec, gateway))
    at = datetime.fromisoformat(primary["metadata"]["creationTimestamp"])
    status = RouteStatus(url=url, conditions=merged((), at, *conditions))
    names = {route.spec.service} - {route.metadata.name}
    return with_missing(route.with_status(status), others, [(SERVICES.kind, each) for each in names])


def route_changes(there: Sequence[KubeObject], wanted: AnyResource, facts: ClusterFacts) -> tuple[ObjectChange, ...]:
    found = {(each["kind"], each["metadata"]["name"]): each for each in there}
    objects = {(each["kind"], each["metadata"]["name"]): each for each in route_objects(wanted, facts)}
    changes = [
        ObjectChange("apply", of_same_uid(document, found[key])) if key in found else ObjectChange("create", document)
        for key, document in objects.items()
        if key not in found or not holds(found[key], document)
    ]
    return (*changes, *(ObjectChange("delete", each) for key, each in found.items() if key not in objects))


ROUTES = Translation(
    ROUTE,
    (ObjectSource(SERVICES), ObjectSource(HTTP_ROUTES, optional=True)),
    route_objects,
    route_of,
    route_changes,
    is_kept=True,
)


def service_host(name: str, namespace: str) -> str:
    """By which programs of the cluster reach a Service."""
    return f"{name}.{namespace}.svc"


def _selector(route: Route) -> dict[str, str]:
    """The pods of the one group that has a weight; of all the owner's groups if several have; or none."""
    weighted = [each.group for each in route.spec.groups if each.weight]
    if len(weighted) > 1 and route.owner:
        return {KIND_LABEL: REPLICA_GROUP.name, OWNER_UID_LABEL: route.owner.uid}
    return group_labels(weighted[0]) if weighted else {KIND_LABEL: REPLICA_GROUP.name, NAME_LABEL: ""}


def _url(route: Route, facts: ClusterFacts) -> str:
    """Of a route without a service of its own: its group's, by whose name replicas know that they are asked."""
    namespace, service = route.metadata.namespace, route.spec.service
    if has_gateway(facts) and facts.profile.gateway_url:
        return f"{facts.profile.gateway_url.rstrip('/')}{_path(route)}"
    alone = service == route.metadata.name and len(route.spec.groups) == 1
    return f"http://{service_host(route.spec.groups[0].group if alone else service, namespace)}"


def _path(route: Route) -> str:
    return f"/services/{route.metadata.namespace}/{route.spec.service}"


def _http_route(route: Route, facts: ClusterFacts) -> KubeObject:
    """Replicas are asked by the service's name, and told below which path their links are."""
    prefix, inside = (
        _path(route),
        f"{route.owner.name if route.owner else route.spec.service}.{route.metadata.namespace}",
    )
    rewritten = {"hostname": inside, "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
    prefixed = {"set": [{"name": "X-Forwarded-Prefix", "value": prefix}]}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": prefix}}],
        "filters": [
            {"type": "URLRewrite", "urlRewrite": rewritten},
            {"type": "RequestHeaderModifier", "requestHeaderModifier": prefixed},
        ],
        "backendRefs": [{"name": each.group, "port": HTTP_PORT, "weight": each.weight} for each in route.spec.groups],
    }
    parent = {"name": GATEWAY, "namespace": facts.profile.gateway_namespace}
    return object_of(HTTP_ROUTES, route, route.metadata.name, spec={"parentRefs": [parent], "rules": [rule]})


def _accepted(http_route: KubeObject) -> Condition:
    """What the gateway says; until it says something, it is not known."""
    parents: Sequence[Any] = http_route.get("status", {}).get("parents") or ()
    said = [each for parent in parents for each in parent.get("conditions") or ()]
    for each in said:
        if each["type"] in ("Accepted", "ResolvedRefs") and each["status"] == "False":
            return Condition(
                type="Accepted", status="False", reason=each.get("reason", "")[:63], message=each.get("message", "")
            )
    if any(each["type"] == "Accepted" and each["status"] == "True" for each in said):
        return Condition(type="Accepted", status="True", reason="Accepted")
    return Condition(type="Accepted", status="Unknown", reason="Pending", message="the gateway has said nothing yet")


def _by_names() -> Condition:
    return Condition(type="Accepted", status="True", reason="ServiceNames")


def _weighted(spec: RouteSpec, gateway: Condition | None) -> Condition:
    """Whether requests are shared by weight; ``gateway`` is what it says of the route, None without one."""
    if gateway and gateway.status == "True":
        return Condition(type="Weighted", status="True", reason="HTTPRoute")
    if sum(1 for each in spec.groups if each.weight) <= 1:
        return Condition(type="Weighted", status="True", reason="OneGroup")
    why = f"the gateway has not accepted the route ({gateway.message})" if gateway else "there is no gateway"
    message = f"{why}; each ready replica gets the same share, so the ratio is that of replicas"
    reason = "NotAccepted" if gateway else "RatioOfReplicas"
    return Condition(type="Weighted", status="False", reason=reason, message=message)
