"""What is installed in a cluster, in words and numbers."""

from collections.abc import Iterable
from typing import Any

from lykeion.control import AnyKind
from lykeion.core import NotFound
from lykeion.platform.kubernetes.api import ClusterClient, NotServed
from lykeion.platform.kubernetes.objects import DEPLOYMENTS, LEASES

from .found_installation import find_installation
from .installation import is_ready, stored, why_not_ready
from .operator_manifests import OPERATOR, Installation


async def status_of_installation(client: ClusterClient, fleet: Iterable[AnyKind] = ()) -> dict[str, Any]:
    """By name: the operator's place, image, whether it is ready and why not, who has the Lease; resources by kind."""
    version = await client.get("/version", "version")
    found = await find_installation(client, fleet)
    status: dict[str, Any] = {"cluster": client.server, "kubernetes": version["gitVersion"]}
    if found is None:
        status["operator"] = "not installed"
    else:
        deployment = await client.get(DEPLOYMENTS.path(found.namespace, OPERATOR), f"deployment/{OPERATOR}")
        ready = is_ready(deployment)
        status |= {
            "operator": "ready" if ready else "not ready",
            "cause": "" if ready else await why_not_ready(client, found.namespace),
            "namespace": found.namespace,
            "only": found.only,
            "image": found.image,
            "profile": found.profile,
            "registry": found.registry,
            "leader": await _leader(client, found.namespace),
        }
    for kind in (found or Installation()).kinds.values():
        status[kind.plural] = len([each async for each in stored(client, kind)])
    return status


async def _leader(client: ClusterClient, namespace: str) -> str:
    try:
        lease = await client.get(LEASES.path(namespace, OPERATOR), f"lease/{OPERATOR}")
    except (NotFound, NotServed):
        return ""
    return str(lease["spec"].get("holderIdentity", ""))
