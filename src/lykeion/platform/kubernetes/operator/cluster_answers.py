"""Answers to lookups of controllers in a cluster: from the registry, Git, Prometheus, and the metrics of pods."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from lykeion.control import Answers, Lookup
from lykeion.core import NotFound, Refused, Unavailable, Unsupported
from lykeion.platform.answering.count_lookups import ReplicaCounter, prometheus_counts
from lykeion.platform.answering.model_lookup import find_digest, find_model
from lykeion.platform.answering.source_lookup import SourceLookup
from lykeion.platform.kubernetes.api import ClusterClient, Watched, list_objects
from lykeion.platform.kubernetes.objects import PODS, KubeObject
from lykeion.platform.kubernetes.pods import CONTAINER
from lykeion.platform.kubernetes.servings import PORT, group_labels
from lykeion.platform.lookups import (
    FoundModel,
    GroupCores,
    ImageDigest,
    ModelVersion,
    PrometheusCounts,
    ReplicaCounts,
    RouteCounts,
    SourceDigest,
    SourceVersion,
)

Pods: TypeAlias = Callable[[str, Mapping[str, str]], Awaitable[Sequence[KubeObject]]]
"""The pods of a namespace that have these labels. Raises Unavailable."""


def cluster_answers(pods: Pods, registry_prefix: Callable[[], str]) -> Answers:
    """``registry_prefix`` is what the cluster's profile says now. Credentials of registries are Docker's own file."""
    sources = SourceLookup()

    async def model(asked: ModelVersion) -> FoundModel:
        return await find_model(asked, registry_prefix())

    return {
        ModelVersion: model,
        ImageDigest: _image_digest,
        SourceDigest: partial(_source, sources),
        PrometheusCounts: prometheus_counts,
        ReplicaCounts: ReplicaCounter(partial(_replicas, pods)).counts,
        RouteCounts: partial(_not_here, "no proxy counts requests on a cluster"),
        GroupCores: partial(_not_here, "the autoscaler reads the load of pods itself"),
    }


def pods_of(client: ClusterClient) -> Pods:
    """As the API server has them now."""

    async def found(namespace: str, labels: Mapping[str, str]) -> Sequence[KubeObject]:
        selected = ",".join(f"{name}={value}" for name, value in labels.items())
        return (await list_objects(client, Watched(PODS, namespace, selected)))[0]

    return found


def replica_addresses(pods: Sequence[KubeObject]) -> list[tuple[str, str]]:
    """Of the pods that get requests, each after text that differs after a restart."""
    ready = [each for each in pods if _is_ready(each) and "deletionTimestamp" not in each["metadata"]]
    return [(f"{each['metadata']['uid']} {_restarts(each)}", _address(each["status"]["podIP"])) for each in ready]


async def _replicas(pods: Pods, namespace: str, group: str) -> list[tuple[str, str]]:
    return replica_addresses(await pods(namespace, group_labels(group)))


async def _image_digest(asked: ImageDigest) -> str:
    """Empty where only nodes may pull the image, by secrets that are not read here: then they pull it by its tag.

    Raises Invalid for a name that no image has.
    """
    try:
        return await find_digest(asked)
    except (NotFound, Refused, Unavailable):
        return ""


async def _source(sources: SourceLookup, asked: SourceDigest) -> SourceVersion:
    if not asked.repository:
        raise Unsupported(f"{asked.directory}: a directory of one machine is not on a cluster; give a Git repository")
    return await sources.find(asked)


async def _not_here(why: str, asked: Lookup) -> Any:
    raise Unsupported(why)


def _is_ready(pod: KubeObject) -> bool:
    conditions: Sequence[KubeObject] = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _restarts(pod: KubeObject) -> int:
    containers: Sequence[KubeObject] = pod["status"].get("containerStatuses") or ()
    return sum(each["restartCount"] for each in containers if each["name"] == CONTAINER)


def _address(ip: str) -> str:
    return f"[{ip}]:{PORT}" if ":" in ip else f"{ip}:{PORT}"
