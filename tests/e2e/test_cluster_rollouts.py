"""Rollouts in a cluster: defined and written by kubectl, carried by a device server outside of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .fleet_machine import calling, fleet_machine
from .kubernetes_cluster import Cluster
from .test_rollouts_of_platform import devices_of, rollout

pytestmark = pytest.mark.slow

FLEET = Path(__file__).parents[2] / "deploy" / "fleet"


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
        defined.kubectl("-n", shop, "wait", "rollout/next", "--for=condition=Complete", "--timeout=30s")
        shown = defined.kubectl("-n", shop, "get", "rollouts")
        assert ("Complete" in shown, "v2" in shown) == (True, True)
        change = json.dumps({"spec": {"rollback": "now"}})
        defined.kubectl("-n", shop, "patch", "rollout", "next", "--type=merge", "-p", change)
        calling(callers, lambda: all(each.running == 1 for each in callers), "devices have not returned")
