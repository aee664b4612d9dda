"""A canary behind a real gateway: Traefik gives versions requests by their weights, whatever their replicas."""

from collections import Counter
from collections.abc import Generator
from urllib.parse import urlsplit

import httpx
import pytest

from lykeion.platform.kubernetes.objects.object_types import HTTP_ROUTES
from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.kubernetes.servings.gateways import GATEWAY
from lykeion.platform.resources.settings.cluster_profile import ClusterProfileSpec

from .cluster_addons import start_gateway
from .cluster_servings import IMAGE, ClusterServing, server, serving_operator, true, wait_until
from .kubernetes_cluster import Cluster

pytestmark = pytest.mark.slow

STEPS = {"steps": [{"weight": 10, "pauseSeconds": 3600}]}


@pytest.fixture
def gateway(cluster: Cluster) -> ClusterProfileSpec:
    """The profile of a cluster with a gateway."""
    address = start_gateway(cluster)
    listener = {
        "name": "http",
        "port": urlsplit(address).port,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    document = {
        "apiVersion": HTTP_ROUTES.api_version,
        "kind": "Gateway",
        "metadata": {"name": GATEWAY, "namespace": "default"},
        "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
    }
    cluster.api.apply(document)
    return ClusterProfileSpec(gateway_class_name="traefik", gateway_namespace="default", gateway_url=address)


@pytest.fixture
def shop(cluster: Cluster, namespace: str, gateway: ClusterProfileSpec) -> Generator[ClusterServing]:
    facts = ClusterFacts(image=IMAGE, profile=gateway, served=frozenset({HTTP_ROUTES.api_version}))
    with serving_operator(cluster, namespace, facts):
        yield ClusterServing(cluster, namespace)


def _versions(url: str, requests: int) -> Counter[tuple[str, int]]:
    with httpx.Client(trust_env=False, timeout=20) as client:
        answers = [client.get(f"{url}/answer") for _ in range(requests)]
    return Counter((each.headers.get("X-Version", ""), each.status_code) for each in answers)


def test_a_canary_gets_the_share_of_its_weight_from_the_gateway(
    shop: ClusterServing, gateway: ClusterProfileSpec
) -> None:
    shop.apply(program=server("one"), replicas=2, canary=STEPS)
    status = shop.wait(lambda it: true(it, "Ready") and true(it, "Weighted"))
    assert status["url"] == f"{gateway.gateway_url}/services/{shop.namespace}/shop"
    wait_until(lambda: _versions(status["url"], 1) == {("one", 200): 1})
    shop.apply(program=server("two"), replicas=2, canary=STEPS)
    shop.wait(lambda it: it.get("rollout", {}).get("weight") == 10 and it.get("ready") == 3)
    wait_until(lambda: _versions(status["url"], 20)["two", 200] > 0)
    answers = _versions(status["url"], 200)
    assert set(answers) == {("one", 200), ("two", 200)}
    assert 10 <= answers["two", 200] <= 30  # by replicas it would be 67
    shop.apply(program=server("two"), replicas=2, canary=STEPS, promote="now")
    shop.wait(lambda it: it.get("history"))
    wait_until(lambda: _versions(status["url"], 20) == {("two", 200): 20})
