"""What of the operator is in a cluster, read from its objects."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from lykeion.control import AnyKind, NoSuchResource
from lykeion.oci.distribution import SCHEMES_VARIABLE
from lykeion.platform.kubernetes.api import ClusterClient, NotServed
from lykeion.platform.kubernetes.objects import DEPLOYMENTS, KubeObject

from .installed_objects import CLUSTER_ROLE_BINDINGS, is_installed, type_of_installed
from .operator_manifests import OPERATOR, PROFILE_LABEL, Installation, definitions, profile_object


async def find_installation(client: ClusterClient, fleet: Iterable[AnyKind] = ()) -> Installation | None:
    """What is installed, read from its objects; ``fleet`` are the kinds that may be defined beside.

    Where it is, its ClusterRoleBinding says: whoever may make Deployments in a namespace may copy name and labels.
    """
    try:
        binding = await client.get(CLUSTER_ROLE_BINDINGS.path(name=OPERATOR), f"clusterrolebinding/{OPERATOR}")
        namespace = _bound(binding)
        deployment = await client.get(DEPLOYMENTS.path(namespace, OPERATOR), f"deployment/{OPERATOR}")
    except NoSuchResource:
        return None
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    arguments: list[str] = container.get("args", [])
    only = arguments[arguments.index("--only-namespace") + 1] if "--only-namespace" in arguments else ""
    variables = {each["name"]: each.get("value", "") for each in container.get("env", ())}
    return Installation(
        namespace=namespace,
        image=container["image"],
        only=only,
        registries=variables.get(SCHEMES_VARIABLE, ""),
        fleet=await installed_kinds(client, fleet),
        **await _profile(client),
    )


async def installed_kinds(client: ClusterClient, kinds: Iterable[AnyKind]) -> tuple[AnyKind, ...]:
    """Those whose definitions an installation has applied; a person's are the person's to keep."""
    found: list[AnyKind] = []
    for kind in kinds:
        (definition,) = definitions([kind])
        with suppress(NoSuchResource):
            if is_installed(await _object(client, definition)):
                found.append(kind)
    return tuple(found)


def _bound(binding: KubeObject) -> str:
    """The namespace of the operator's account. Raises NoSuchResource."""
    for each in binding.get("subjects") or ():
        if (each["kind"], each["name"]) == ("ServiceAccount", OPERATOR):
            return each["namespace"]
    raise NoSuchResource(f"clusterrolebinding/{OPERATOR} does not name the account {OPERATOR}")


async def _profile(client: ClusterClient) -> dict[str, str]:
    """The fields of an Installation that its ClusterProfile has."""
    made = profile_object(Installation())
    try:
        found = await _object(client, made)
    except (NoSuchResource, NotServed):
        return {}
    spec: dict[str, Any] = found["spec"]
    return {
        "profile": found["metadata"].get("labels", {}).get(PROFILE_LABEL, "plain"),
        "account": next(iter(spec.get("identity", {}).values()), ""),
        "registry": spec.get("registryPrefix", ""),
    }


async def _object(client: ClusterClient, made: KubeObject) -> KubeObject:
    """As it is there. Raises NoSuchResource."""
    name = made["metadata"]["name"]
    return await client.get(type_of_installed(made).path(name=name), f"{made['kind'].lower()}/{name}")
