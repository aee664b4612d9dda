"""Removing the operator: resources first, while it can still end what runs for them; the definitions last."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from lykeion.control import CLUSTER, AnyKind, NoSuchResource
from lykeion.core import Conflict
from lykeion.platform.kubernetes.api import ClusterClient, NotServed
from lykeion.platform.kubernetes.objects import DEPLOYMENTS, PODS, KubeObject, custom_type, key_of
from lykeion.platform.resources.pipelines import PIPELINE

from .cloud_profiles import THIS_CLUSTER
from .found_installation import find_installation, installed_kinds
from .installation import (
    PAUSE_S,
    NotInstalled,
    NotReady,
    Report,
    is_ready,
    stored,
)
from .installed_objects import superseded, type_of_installed
from .left_connections import LeftObject, delete_left, left_connections
from .operator_manifests import OPERATOR, SELECTOR, defined_with, definitions, operator_objects

Kinds: TypeAlias = Mapping[str, AnyKind]
_KEPT = ("Namespace",)
"""Others may have put something there."""


class ResourcesRemain(Conflict):
    """There are resources, which would be lost or left without their controller."""


async def uninstall(
    client: ClusterClient,
    report: Report,
    *,
    fleet: Iterable[AnyKind] = (),
    delete_resources: bool = False,
    timeout_s: float = 600,
    dry_run: bool = False,
) -> None:
    """Raises NotInstalled; NotReady for what has not gone after the timeout; ResourcesRemain if there are resources.

    With ``delete_resources`` these are deleted, unless they have finalizers that no operator would take away. What
    connections to other clusters have left is deleted, or named if others have written it. ``fleet`` are the kinds
    that may be defined beside the platform's.
    """
    to = await find_installation(client, fleet)
    kinds = defined_with(await installed_kinds(client, fleet))
    remaining = await _remaining(client, kinds)
    if to is None and not remaining and not await _any_defined(client, kinds):
        raise NotInstalled("the operator is not installed")
    if remaining and not delete_resources:
        raise ResourcesRemain(
            f"there are {_counted(remaining, kinds)}; --delete-resources deletes them, with all that runs for them"
        )
    held = [each for each in remaining if each["metadata"].get("finalizers")]
    if held and not (to and await _operator_is_ready(client, to.namespace)):
        raise ResourcesRemain(
            f"{_name(held[0])} has a finalizer that only the operator takes away, and the operator is not ready: "
            "bring it up first, or release the resource (docs/kubernetes.md)"
        )
    await _delete_resources(client, kinds, report, timeout_s=timeout_s, dry_run=dry_run)
    objects = [each for each in operator_objects(to) if each["kind"] not in _KEPT] if to else []
    objects += await superseded(client, objects)
    for document in sorted(objects, key=lambda each: each["kind"] != "Deployment"):
        await _delete(client, document, report, dry_run=dry_run)
        if document["kind"] == "Deployment" and to and not dry_run:
            await _until_no_pods(client, to.namespace, timeout_s)
    removed = {key_of(each) for each in objects}
    left = await left_connections(client, to.namespace if to else "", report)
    kept = await _disconnect(client, (each for each in left if each.key not in removed), report, dry_run=dry_run)
    for document in definitions(kinds.values()):
        await _delete(client, document, report, dry_run=dry_run)
    if not dry_run:
        await _until_undefined(client, kinds, timeout_s)
    for each in kept:
        report(f"{each} kept, since others have written it; delete it by: {each.command}")
    if to:
        report(f"namespace/{to.namespace} kept; others may use it: kubectl delete namespace {to.namespace}")


async def _disconnect(
    client: ClusterClient, left: Iterable[LeftObject], report: Report, *, dry_run: bool
) -> list[LeftObject]:
    """Delete what ``connect`` has made, which nothing reads any more. Returns what is kept: what is of others."""
    kept: list[LeftObject] = []
    for each in left:
        if not each.is_ours or not (dry_run or await delete_left(client, each)):
            kept.append(each)
        else:
            report(f"{each} {'would be ' if dry_run else ''}deleted")
    return kept


async def _remaining(client: ClusterClient, kinds: Kinds) -> list[KubeObject]:
    """All resources but the cluster's profile; pipelines first, which would create others."""
    ordered = sorted(kinds.values(), key=lambda kind: kind is not PIPELINE)
    found = [each for kind in ordered async for each in stored(client, kind)]
    return [each for each in found if each["metadata"]["name"] != THIS_CLUSTER or each["kind"] != "ClusterProfile"]


async def _any_defined(client: ClusterClient, kinds: Kinds) -> bool:
    for document in definitions(kinds.values()):
        try:
            await client.get(type_of_installed(document).path(name=document["metadata"]["name"]), _name(document))
            return True
        except NoSuchResource:
            continue
    return False


async def _operator_is_ready(client: ClusterClient, namespace: str) -> bool:
    deployment = await client.get(DEPLOYMENTS.path(namespace, OPERATOR), f"deployment/{OPERATOR}")
    return bool(deployment["spec"]["replicas"]) and is_ready(deployment)


async def _delete_resources(
    client: ClusterClient, kinds: Kinds, report: Report, *, timeout_s: float, dry_run: bool
) -> None:
    """Deletes them and waits until they have gone, which is when what runs for them has ended."""
    remaining = await _remaining(client, kinds)
    for document in remaining:
        metadata, kind = document["metadata"], kinds[document["kind"]]
        if metadata.get("ownerReferences") and not dry_run:
            continue  # goes with its owner
        path = custom_type(kind).path(metadata.get("namespace", CLUSTER), metadata["name"])
        report(f"{_name(document)} {'would be ' if dry_run else ''}deleted")
        if not dry_run:
            await _gone(client, path, document, {"propagationPolicy": "Foreground"})
    if dry_run or not remaining:
        return
    try:
        async with asyncio.timeout(timeout_s):
            while await _remaining(client, kinds):
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        left = await _remaining(client, kinds)
        raise NotReady(
            f"{_counted(left, kinds)} have not gone within {timeout_s:g} s; see {_name(left[0])}"
        ) from None


async def _delete(client: ClusterClient, document: KubeObject, report: Report, *, dry_run: bool) -> None:
    metadata = document["metadata"]
    path = type_of_installed(document).path(metadata.get("namespace"), metadata["name"])
    if dry_run:
        report(f"{_name(document)} would be deleted")
    elif await _gone(client, path, document, {"propagationPolicy": "Foreground"}):
        report(f"{_name(document)} deleted")


async def _gone(client: ClusterClient, path: str, document: KubeObject, options: KubeObject) -> bool:
    """Ask for the deletion; False if it is not there."""
    try:
        await client.delete(path, _name(document), options)
    except (NoSuchResource, NotServed):
        return False
    return True


async def _until_no_pods(client: ClusterClient, namespace: str, timeout_s: float) -> None:
    selector = ",".join(f"{name}={value}" for name, value in SELECTOR.items())
    try:
        async with asyncio.timeout(timeout_s):
            while (await client.get(PODS.path(namespace), "pods", {"labelSelector": selector}))["items"]:
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        raise NotReady(f"the operator's pods have not ended within {timeout_s:g} s") from None


async def _until_undefined(client: ClusterClient, kinds: Kinds, timeout_s: float) -> None:
    """The server deletes the objects of a definition first."""
    try:
        async with asyncio.timeout(timeout_s):
            while await _any_defined(client, kinds):
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        raise NotReady(f"the definitions have not gone within {timeout_s:g} s") from None


def _counted(documents: Sequence[KubeObject], kinds: Kinds) -> str:
    counts = Counter(kinds[each["kind"]].plural for each in documents)
    return ", ".join(f"{count} {plural if count > 1 else plural[:-1]}" for plural, count in counts.items())


def _name(document: KubeObject) -> str:
    return f"{document['kind'].lower()}/{document['metadata']['name']}"
