"""A Route in a cluster: Services over the pods of groups, HTTPRoutes where there is a gateway, and its status."""

from typing import Any

import pytest

from lykeion.control import condition_of
from lykeion.platform.kubernetes.objects.object_types import KubeObject
from lykeion.platform.kubernetes.servings.replica_group_objects import REPLICA_GROUPS
from lykeion.platform.kubernetes.servings.route_objects import ROUTES
from lykeion.platform.resources.plain_kinds.route import Route

from .group_views import FACTS, GATED, changed, group, is_as_pinned, kept, route

PINNED = {
    "route": (route(shop_1=100), FACTS),
    "route-of-two": (route(shop_1=90, shop_2=10), FACTS),
    "route-by-gateway": (route(shop_1=90, shop_2=10), GATED),
}


@pytest.mark.parametrize("name", PINNED)
def test_the_documents_are_those_that_are_pinned(name: str) -> None:
    assert is_as_pinned(name, ROUTES.objects(*PINNED[name]))


@pytest.mark.parametrize("name", PINNED)
def test_a_route_is_read_back_as_it_was_written_and_then_nothing_is_changed(name: str) -> None:
    wanted, facts = PINNED[name]
    there = kept(ROUTES.objects(wanted, facts))
    assert ROUTES.resource_of(there[0], there[1:]).spec == wanted.spec
    assert changed(ROUTES, there, wanted, facts) == []


def _selects(of: Route, name: str) -> bool:
    """Whether a group's pods get requests without a gateway."""
    labels = REPLICA_GROUPS.objects(group(name), FACTS)[0]["spec"]["template"]["metadata"]["labels"]
    selectors = [each["spec"]["selector"] for each in ROUTES.objects(of, FACTS)]
    assert selectors[0] == selectors[-1]
    return selectors[0].items() <= labels.items()


def test_without_a_gateway_only_pods_of_groups_that_have_a_weight_get_requests() -> None:
    assert [_selects(route(shop_1=100, shop_2=0), each) for each in ("shop-1", "shop-2")] == [True, False]
    assert [_selects(route(shop_1=90, shop_2=10), each) for each in ("shop-1", "shop-2")] == [True, True]
    assert [_selects(route(shop_1=0, shop_2=100), each) for each in ("shop-1", "shop-2")] == [False, True]
    assert not _selects(route(), "shop-1")


def test_other_weights_are_one_write_for_each_object_that_has_them() -> None:
    there = kept(ROUTES.objects(route(shop_1=100, shop_2=0), FACTS))
    assert changed(ROUTES, there, route(shop_1=90, shop_2=10)) == [("apply", "Service")] * 2
    there = kept(ROUTES.objects(route(shop_1=90, shop_2=10), GATED))
    changes = ROUTES.changes(there, route(shop_1=50, shop_2=50), GATED)
    assert [(each.verb, each.document["kind"]) for each in changes] == [("apply", "Service"), ("apply", "HTTPRoute")]
    assert [each.document["metadata"]["uid"] for each in changes] == ["uid-0", "uid-2"]


def test_a_service_that_another_deleted_is_made_again() -> None:
    there = kept(ROUTES.objects(route(shop_1=100), FACTS))
    assert _read(there).metadata.labels == {}
    assert _read(there[:1]).metadata.labels
    assert changed(ROUTES, there[:1], route(shop_1=100)) == [("create", "Service")]


def test_where_a_gateway_appears_or_goes_the_http_route_does_too() -> None:
    wanted = route(shop_1=100)
    assert changed(ROUTES, kept(ROUTES.objects(wanted, FACTS)), wanted, GATED)[-1] == ("create", "HTTPRoute")
    assert changed(ROUTES, kept(ROUTES.objects(wanted, GATED)), wanted, FACTS)[-1] == ("delete", "HTTPRoute")


def _read(there: list[KubeObject]) -> Route:
    return ROUTES.resource_of(there[0], there[1:])


def test_the_address_is_the_services_name_or_the_gateways() -> None:
    assert _read(kept(ROUTES.objects(route(shop_1=100), FACTS))).status.url == "http://shop.default.svc"
    gated = _read(kept(ROUTES.objects(route(shop_1=100), GATED)))
    assert gated.status.url == "https://models.example.com/services/default/shop"
    preview = route("shop-preview", "shop-preview", shop_2=100)
    assert _read(kept(ROUTES.objects(preview, FACTS))).status.url == "http://shop-2.default.svc"


def _condition(there: list[KubeObject], type_: str) -> tuple[str, str]:
    found = condition_of(_read(there).status.conditions, type_)
    assert found
    return found.status, found.reason


def test_a_condition_says_whether_requests_are_shared_by_weight() -> None:
    assert _condition(kept(ROUTES.objects(route(shop_1=100), FACTS)), "Weighted") == ("True", "OneGroup")
    both = route(shop_1=90, shop_2=10)
    assert _condition(kept(ROUTES.objects(both, FACTS)), "Weighted") == ("False", "RatioOfReplicas")
    there = kept(ROUTES.objects(both, GATED))
    assert _condition(there, "Accepted") == ("Unknown", "Pending")
    assert _condition(there, "Weighted") == ("False", "NotAccepted")
    there[-1]["status"] = _said(Accepted="True", ResolvedRefs="True")
    assert _condition(there, "Weighted") == ("True", "HTTPRoute")
    there[-1]["status"] = _said(Accepted="True", ResolvedRefs="False")
    assert _condition(there, "Accepted") == ("False", "ResolvedRefs")


def _said(**conditions: str) -> dict[str, Any]:
    made = [{"type": name, "status": status, "reason": name} for name, status in conditions.items()]
    return {"parents": [{"conditions": made}]}
