"""Rollouts in a cluster: defined and written by kubectl, carried by a device server outside of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lykeion.delivery.device_service import FLEET_KINDS
from lykeion.platform.kubernetes.installing.fleet_roles import fleet_rules

from .fleet_machine import calling, fleet_machine
from .kubernetes_cluster import Cluster
from .test_rollouts_of_platform import devices_of, rollout

pytestmark = pytest.mark.slow

FLEET = Path(__file__).parents[2] / "deploy" / "fleet"
KINDS = tuple(FLEET_KINDS.values())


@pytest.fixture(scope="module")
def defined(cluster: Cluster) -> Iterator[Cluster]:
    cluster.kubectl("apply", "--server-side", "-k", str(FLEET))
    yield cluster
    cluster.kubectl("delete", "-k", str(FLEET))


def test_kubectl_writes_a_rollout_that_the_device_server_carries(
    defined: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = defined.namespace("fleet-shop")
    monkeypatch.setenv("KUBECONFIG", str(defined.kubeconfig))
    wrong = rollout("wrong", "v2", waves=[{"percent": 50}, {"percent": 50}])
    error = defined.kubectl("-n", shop, "apply", "-f", "-", text=yaml.safe_dump(wrong), code=1)
    assert "percentages of waves have to grow" in error
    options = ("--rollouts", "cluster", "--rollouts-namespace", shop)
    with fleet_machine(tmp_path, options=options) as fleet:
        callers = devices_of(fleet, 2)
        calling(callers, lambda: all(each.running == 1 for each in callers), "v1 is not everywhere")
        defined.kubectl("-n", shop, "apply", "-f", "-", text=yaml.safe_dump(rollout("next", "v2")))

        def status() -> dict[str, Any]:
            return json.loads(defined.kubectl("-n", shop, "get", "rollout", "next", "-o", "json")).get("status", {})

        calling(callers, lambda: status().get("state") == "Complete", "it is not complete")
        assert all(each.running == 2 for each in callers)
        holder = ("get", "lease", "lykeion-fleet", "-o", "jsonpath={.spec.holderIdentity}")
        assert defined.kubectl("-n", shop, *holder)
        other = ("--repository", str(tmp_path / "tuf"), "--fleet", str(tmp_path / "other"), "--port", "0")
        refused = fleet.run("delivery", "serve", *other, *options, code=2)
        assert "the rollouts of this namespace are those of another fleet" in refused
        defined.kubectl("-n", shop, "wait", "rollout/next", "--for=condition=Complete", "--timeout=30s")
        shown = defined.kubectl("-n", shop, "get", "rollouts")
        assert ("Complete" in shown, "v2" in shown) == (True, True)
        change = json.dumps({"spec": {"rollback": "now"}})
        defined.kubectl("-n", shop, "patch", "rollout", "next", "--type=merge", "-p", change)
        calling(callers, lambda: all(each.running == 1 for each in callers), "devices have not returned")


Right = tuple[str, str, str]
"""The API group, the resource and perhaps its subresource, the verb."""
OURS = "lykeion.github.io"
RARE: dict[str, set[Right]] = {
    "lykeion experiment asks for the same as lykeion rollout": {
        *((OURS, "experiments", verb) for verb in ("get", "create", "patch", "delete")),
        (OURS, "experiments/status", "patch"),
    },
    "the same event happens again": {("events.k8s.io", "events", "patch")},
}
"""Rights that this life does not ask for, by the reason for which they are needed."""


def test_the_device_server_has_the_rights_that_it_needs_and_no_others(
    defined: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = ("--clusterrole=lykeion-fleet", "--serviceaccount=default:device-server")
    defined.kubectl("create", "serviceaccount", "device-server", "-n", "default")
    defined.kubectl("create", "rolebinding", "device-server", "-n", "default", *account)
    monkeypatch.setenv("KUBECONFIG", str(defined.kubeconfig_of_account("device-server", "default")))
    options = ("--rollouts", "cluster", "--rollouts-namespace", "default")
    with fleet_machine(tmp_path, options=options) as fleet:
        callers = devices_of(fleet, 2)
        calling(callers, lambda: all(each.running == 1 for each in callers), "v1 is not everywhere")
        waves = ("--waves", "100%", "--soak", "1s", "--interval", "1s")
        fleet.run("rollout", "start", "shoes:v2", "--name", "right", *waves)
        calling(callers, lambda: fleet.rollout("right").get("state") == "Complete", "it is not complete")
        fleet.run("rollout", "describe", "right")
        fleet.run("rollout", "rollback", "right")
        calling(callers, lambda: all(each.running == 1 for each in callers), "devices have not returned")
        fleet.run("rollout", "delete", "right", "--force")
    asked = [
        each
        for each in defined.audited()
        if each["user"]["username"] == "system:serviceaccount:default:device-server" and "objectRef" in each
    ]
    assert [each for each in asked if each["responseStatus"]["code"] == 403] == []
    granted = {(r.group, each, verb) for r in fleet_rules(KINDS) for each in r.resources for verb in r.verbs}
    rare = set().union(*RARE.values())
    assert granted - {_right(each) for each in asked} - rare == set()
    assert rare <= granted


def _right(request: dict[str, Any]) -> Right:
    what = request["objectRef"]
    inner = f"/{what['subresource']}" if "subresource" in what else ""
    return what.get("apiGroup", ""), what["resource"] + inner, request["verb"]
