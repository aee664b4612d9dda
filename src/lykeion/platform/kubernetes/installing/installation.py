"""Installing and upgrading the operator: definitions first, and not if stored resources would become invalid."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from lykeion.control import AnyKind, Exists, NoSuchResource, ResourceError, read_resource
from lykeion.core import Conflict, Unavailable, Unsupported
from lykeion.core.fields import Fields
from lykeion.platform.kubernetes.api import ClusterClient, NotServed, UidMismatch
from lykeion.platform.kubernetes.objects import DEPLOYMENTS, PODS, KubeObject, custom_type

from .found_installation import find_installation
from .installed_objects import INSTALLER, in_pages, superseded, type_of_installed
from .operator_manifests import (
    OPERATOR,
    SELECTOR,
    Installation,
    definitions,
    operator_objects,
)

OLDEST = (1, 33)
"""Of Kubernetes."""
LIMIT_NAMED = 5
PAUSE_S = 0.5

Report = Callable[[str], object]
_SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")


class AlreadyInstalled(Conflict):
    """The operator is there already, in another namespace."""


class NotInstalled(NoSuchResource):
    """The operator is not in the cluster."""


class WouldBecomeInvalid(Conflict):
    """Stored resources do not fit the definitions of this version."""


class NotReady(Unavailable):
    """The operator does not start; the message says why."""


async def install(
    client: ClusterClient,
    to: Installation,
    image: Callable[[], str],
    report: Report,
    *,
    fleet: Iterable[AnyKind] = (),
    timeout_s: float = 300,
    dry_run: bool = False,
) -> None:
    """Apply everything and wait until the operator is ready; what is installed already is brought up to date, and
    what only an earlier version has installed is deleted.

    ``image`` builds or finds the image once everything else is checked. A ClusterProfile that is there stays as it
    is, and what was installed before of ``fleet``, the kinds that may be defined beside, stays installed. Raises
    Unsupported for an old cluster, AlreadyInstalled, WouldBecomeInvalid, NotReady, and what the client and ``image``
    raise.
    """
    await check_version(client)
    found = await find_installation(client, fleet)
    if found and found.namespace != to.namespace:
        raise AlreadyInstalled(f"the operator is in the namespace {found.namespace}; uninstall it first")
    to = replace(to, fleet=to.fleet or (found.fleet if found else ()))
    await _apply(client, to, image, report, timeout_s=timeout_s, dry_run=dry_run)


async def upgrade(
    client: ClusterClient,
    image: Callable[[], str],
    report: Report,
    *,
    fleet: Iterable[AnyKind] = (),
    timeout_s: float = 300,
    dry_run: bool = False,
) -> None:
    """Bring what is installed to this version, with another image. Raises NotInstalled, and as ``install``."""
    await check_version(client)
    found = await find_installation(client, fleet)
    if found is None:
        raise NotInstalled("the operator is not installed; see lykeion operator install")
    await _apply(client, found, image, report, timeout_s=timeout_s, dry_run=dry_run)


async def check_version(client: ClusterClient) -> tuple[int, int]:
    """The version of Kubernetes. Raises Unsupported for one that is too old."""
    found = await client.get("/version", "version")
    version = int(found["major"]), int(str(found["minor"]).rstrip("+"))
    if version < OLDEST:
        raise Unsupported(f"the cluster runs Kubernetes {version[0]}.{version[1]}; {OLDEST[0]}.{OLDEST[1]} is needed")
    return version


async def stored(client: ClusterClient, kind: AnyKind) -> AsyncGenerator[KubeObject, None]:
    """All objects of a kind, in all namespaces; none if it is not defined."""
    with suppress(NotServed):
        async for each in in_pages(client.get, custom_type(kind), {}):
            yield {"apiVersion": kind.api_version, "kind": kind.name, **each}


async def check_stored(client: ClusterClient, kinds: Mapping[str, AnyKind]) -> None:
    """Raises WouldBecomeInvalid if resources do not fit this version's definitions, with some of them."""
    wrong: list[str] = []
    for kind in kinds.values():
        async for document in stored(client, kind):
            where = f"{kind.name.lower()}/{document['metadata']['name']}"
            try:
                read_resource(Fields(where, document), kinds)
            except ResourceError as error:
                wrong.append(str(error))
    if wrong:
        named = "; ".join(wrong[:LIMIT_NAMED])
        more = f"; and {len(wrong) - LIMIT_NAMED} more" if len(wrong) > LIMIT_NAMED else ""
        raise WouldBecomeInvalid(f"stored resources do not fit this version; change or delete them: {named}{more}")


async def _apply(
    client: ClusterClient,
    to: Installation,
    image: Callable[[], str],
    report: Report,
    *,
    timeout_s: float,
    dry_run: bool,
) -> None:
    operator_objects(to)  # refuses a profile or account that there is not
    await check_stored(client, to.kinds)
    objects = operator_objects(replace(to, image=image()))
    defined = definitions(to.kinds.values())
    for document in defined:
        report(f"{_name(document)} {await apply_object(client, document, dry_run=dry_run)}")
    if not dry_run:
        for document in defined:
            await _until(client, document, _is_established, timeout_s)
        await _until_served(client, to.kinds.values(), timeout_s)
    for document in objects:
        outcome = await (_created_once if document["kind"] == "ClusterProfile" else apply_object)(
            client, document, dry_run=dry_run
        )
        report(f"{_name(document)} {outcome}")
    if not dry_run:
        (deployment,) = (each for each in objects if each["kind"] == "Deployment")
        await _until_ready(client, deployment, timeout_s)
        report(f"{_name(deployment)} ready")
    for document in await superseded(client, objects):
        if not dry_run:
            await _delete(client, document)
        report(f"{_name(document)} {'would be ' if dry_run else ''}deleted")


async def apply_object(client: ClusterClient, document: KubeObject, *, dry_run: bool = False) -> str:
    """Server-side apply. Returns created, configured or unchanged."""
    path, what = _where(document)
    try:
        before = await client.get(path, what)
    except (NoSuchResource, NotServed):
        before = None
    if before is None and dry_run:
        return "created"
    query = {"fieldManager": INSTALLER, "force": "true", **({"dryRun": "All"} if dry_run else {})}
    plain = json.loads(json.dumps(document))
    after = await client.patch(path, what, plain, "apply", query)
    if before is None:
        return "created"
    return "unchanged" if _own(before) == _own(after) else "configured"


async def _created_once(client: ClusterClient, document: KubeObject, *, dry_run: bool) -> str:
    """A ClusterProfile is the user's to change once it is there."""
    path, what = _where(document)
    query = {"dryRun": "All"} if dry_run else {}
    try:
        await client.post(path.rpartition("/")[0], what, json.loads(json.dumps(document)), query)
    except Exists:
        return "kept"
    except NotServed:
        if not dry_run:
            raise
    return "created"


async def _delete(client: ClusterClient, document: KubeObject) -> None:
    """Unless it was made again, or is gone."""
    path, what = _where(document)
    options = {"propagationPolicy": "Background", "preconditions": {"uid": document["metadata"]["uid"]}}
    with suppress(NoSuchResource, UidMismatch):
        await client.delete(path, what, options)


async def _until(
    client: ClusterClient, document: KubeObject, holds: Callable[[KubeObject], bool], timeout_s: float
) -> None:
    path, what = _where(document)
    try:
        async with asyncio.timeout(timeout_s):
            while not holds(await client.get(path, what)):
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        raise NotReady(f"{what} was not ready within {timeout_s:g} s") from None


async def _until_served(client: ClusterClient, kinds: Iterable[AnyKind], timeout_s: float) -> None:
    """The API server has a definition's resources a moment after it is established."""
    async with asyncio.timeout(timeout_s):
        for kind in kinds:
            while not await _is_served(client, kind):
                await asyncio.sleep(PAUSE_S)


async def _is_served(client: ClusterClient, kind: AnyKind) -> bool:
    try:
        await client.get(custom_type(kind).path(), kind.plural, {"limit": "1"})
    except NotServed:
        return False
    return True


async def _until_ready(client: ClusterClient, deployment: KubeObject, timeout_s: float) -> None:
    try:
        await _until(client, deployment, is_ready, timeout_s)
    except NotReady as late:
        why = await why_not_ready(client, deployment["metadata"]["namespace"])
        raise NotReady(f"{late}: {why}" if why else str(late)) from None


async def why_not_ready(client: ClusterClient, namespace: str) -> str:
    """The cause that a pod of the operator, or its Deployment, reports; empty if there is none."""
    selector = ",".join(f"{name}={value}" for name, value in SELECTOR.items())
    pods = (await client.get(PODS.path(namespace), "pods", {"labelSelector": selector}))["items"]
    for pod in pods:
        for found in pod.get("status", {}).get("containerStatuses", ()):
            if why := _why(found):
                return f"{pod['metadata']['name']}: {why}"
    deployment = await client.get(DEPLOYMENTS.path(namespace, OPERATOR), f"deployment/{OPERATOR}")
    causes = [
        each for pod in pods for each in pod.get("status", {}).get("conditions", ()) if each["status"] == "False"
    ]
    causes += [each for each in _conditions(deployment) if each["type"] == "ReplicaFailure"]
    return next((each["message"] for each in causes if each.get("message")), "")


def _why(container: dict[str, Any]) -> str:
    """Why a container does not run, or how it ended the last time."""
    ended = container["state"].get("terminated") or container.get("lastState", {}).get("terminated")
    if ended:
        log = f"kubectl logs --previous deployment/{OPERATOR}"
        return f"{ended.get('reason', 'Error')}, exit code {ended.get('exitCode')}; see: {log}"
    waiting = container["state"].get("waiting", {})
    return f"{waiting.get('reason', '')}: {waiting.get('message', '')}".strip(": ")


def is_ready(deployment: KubeObject) -> bool:
    """Whether all of its pods are those of its last change, and are ready."""
    status: dict[str, Any] = deployment.get("status", {})
    replicas = deployment["spec"]["replicas"]
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas"))
    return seen and all(each == replicas for each in counts)


def _is_established(definition: KubeObject) -> bool:
    """Also that its schema is one which the server uses."""
    conditions = {each["type"]: each["status"] for each in _conditions(definition)}
    if conditions.get("NonStructuralSchema") == "True":
        raise ResourceError(f"{_name(definition)}: the server finds the schema not structural")
    return conditions.get("Established") == "True"


def _conditions(document: KubeObject) -> Iterable[dict[str, Any]]:
    """None at first: the server writes a null for a new definition."""
    return cast(list[dict[str, Any]], document.get("status", {}).get("conditions") or [])


def _own(document: KubeObject) -> KubeObject:
    """Without what the server writes."""
    metadata = {name: value for name, value in document["metadata"].items() if name not in _SERVERS_OWN}
    return {**{name: value for name, value in document.items() if name != "status"}, "metadata": metadata}


def _where(document: KubeObject) -> tuple[str, str]:
    """Its path, and its name in errors."""
    type_, metadata = type_of_installed(document), document["metadata"]
    return type_.path(metadata.get("namespace"), metadata["name"]), _name(document)


def _name(document: KubeObject) -> str:
    return f"{document['kind'].lower()}/{document['metadata']['name']}"
