"""What programs in a cluster have printed, from the API's pod logs."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Any

from lykeion.control import AnyResource, Key, NoSuchResource, ResourceStore, child_name
from lykeion.platform.kubernetes.api import ClusterClient
from lykeion.platform.kubernetes.objects import (
    KIND_LABEL,
    MANAGED_BY,
    MANAGER,
    NAME_LABEL,
    OWNER_LABEL,
    OWNER_UID_LABEL,
    PODS,
    KubeObject,
)
from lykeion.platform.policies.artifacts import PROGRAM
from lykeion.platform.policies.lifecycle import has_finished
from lykeion.platform.resources.pipelines import PIPELINE_RUN, StepStatus

PAUSE_S = 1.0
"""Between two looks for a later attempt."""
_INDEX = "batch.kubernetes.io/job-completion-index"
_CONTAINER = "kubectl.kubernetes.io/default-container"


async def pod_log(
    client: ClusterClient,
    store: ResourceStore,
    key: Key,
    index: int,
    part: str,
    *,
    follow: bool = False,
    tail: int | None = None,
) -> AsyncGenerator[bytes, None]:
    """The log of the newest pod; with ``follow`` until the resource has finished, through later attempts.

    Raises NoSuchResource if nothing was started at the index, or its pods are gone.
    """
    resource = await store.get(key)
    seen = ""
    while True:
        finished = not follow or await _has_ended(store, key)
        pod = await _newest(client, resource, index, part)
        if pod is None and (elsewhere := _elsewhere(resource, part)):
            raise NoSuchResource(elsewhere)
        if pod is None and (finished or not follow):
            where = f" in {part[:60]}" if part else ""
            raise NoSuchResource(f"{key} has run nothing{where} at the index {index}, or its pods are gone")
        if pod and pod["metadata"]["uid"] != seen:
            seen, query = pod["metadata"]["uid"], _query(pod, follow, tail)
            path = PODS.path(pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/log"
            async with aclosing(client.chunks(path, str(key), query)) as chunks:
                async for chunk in chunks:
                    yield chunk
            tail = None
        elif finished:
            return
        else:
            await asyncio.sleep(PAUSE_S)


def newest_pod(resource: AnyResource, index: int, part: str, pods: Iterable[KubeObject]) -> KubeObject | None:
    """Of a resource's pods at an index, the newest whose program was started, at best that of its own program.

    With ``part``, a step of a run or a part of a resource such as ``publish``, only those that run it.
    """
    program = child_name(resource, PROGRAM)
    found = [each for each in pods if _belongs(each, resource, part) and _has_begun(each)]
    groups = sorted(
        {_label(each, NAME_LABEL) for each in found}, key=lambda name: (name == program, _age(name, found))
    )
    for name in reversed(groups):
        own = [each for each in found if _label(each, NAME_LABEL) == name]
        if at := list(_at(index, own)):
            return max(at, key=_created)
    return None


def _elsewhere(resource: AnyResource, step: str) -> str:
    """Where a step of a run has run, if that is another cluster."""
    steps: Sequence[StepStatus] = resource.status.steps if resource.kind is PIPELINE_RUN else ()
    found = next((each for each in steps if each.cluster and each.name == step), None)
    if found is None:
        return ""
    log = f"lykeion --context CONTEXT logs run/{found.remote_run}"
    return f"{resource.key}: {step} runs in the cluster {found.cluster}; its log is there: {log}"


async def _newest(client: ClusterClient, resource: AnyResource, index: int, part: str) -> KubeObject | None:
    query = {"labelSelector": f"{MANAGED_BY}={MANAGER}"}
    answer = await client.get(PODS.path(resource.metadata.namespace), "pods", query)
    return newest_pod(resource, index, part, answer["items"])


async def _has_ended(store: ResourceStore, key: Key) -> bool:
    try:
        return has_finished((await store.get(key)).status.conditions)
    except NoSuchResource:
        return True


def _query(pod: KubeObject, follow: bool, tail: int | None) -> dict[str, str]:
    container = pod["metadata"].get("annotations", {}).get(_CONTAINER) or pod["spec"]["containers"][0]["name"]
    query = {"container": container, **({"follow": "true"} if follow else {})}
    return query if tail is None else {**query, "tailLines": str(tail)}


def _belongs(pod: KubeObject, resource: AnyResource, part: str) -> bool:
    name, owned = _label(pod, NAME_LABEL), _label(pod, OWNER_UID_LABEL) == resource.metadata.uid
    if not part:
        return owned or (_label(pod, KIND_LABEL), name) == (resource.kind.name, resource.metadata.name)
    if owned:
        return name in (child_name(resource, part), child_name(resource, f"{part}/{PROGRAM}"))
    return _label(pod, OWNER_LABEL) == child_name(resource, f"{part}/resource")


def _at(index: int, pods: list[KubeObject]) -> Iterator[KubeObject]:
    """Those of an index of a Job; of replicas, the one that is so far down the list by age."""
    indexed = [each for each in pods if _INDEX in each["metadata"].get("annotations", {})]
    if indexed:
        yield from (each for each in indexed if each["metadata"]["annotations"][_INDEX] == str(index))
    else:
        yield from sorted(pods, key=_created)[index : index + 1]


def _has_begun(pod: KubeObject) -> bool:
    statuses: list[dict[str, Any]] = pod.get("status", {}).get("containerStatuses", [])
    return any("waiting" not in each.get("state", {}) or each.get("lastState") for each in statuses)


def _age(name: str, pods: list[KubeObject]) -> tuple[str, str]:
    return max(_created(each) for each in pods if _label(each, NAME_LABEL) == name)


def _created(pod: KubeObject) -> tuple[str, str]:
    return str(pod["metadata"].get("creationTimestamp", "")), pod["metadata"]["name"]


def _label(pod: KubeObject, name: str) -> str:
    return str(pod["metadata"].get("labels", {}).get(name, ""))
