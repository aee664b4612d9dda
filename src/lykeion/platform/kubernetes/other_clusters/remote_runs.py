"""Runs of single steps in other clusters: made, read and removed for controllers; swept where their run is gone."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn

from msgspec import structs

from lykeion.control import GROUP, Answers, AnyResource, Exists, Key, NoSuchResource, ResourceError
from lykeion.core import Conflict, LykeionError
from lykeion.platform.kubernetes.api import ClusterClient, ClusterError, WatchAges, Watched, WatchTimes, list_objects
from lykeion.platform.kubernetes.objects import (
    MANAGED_BY,
    MANAGER,
    OWNER_LABEL,
    OWNER_UID_LABEL,
    KubeObject,
    custom_type,
    inside,
)
from lykeion.platform.kubernetes.store import CustomResources
from lykeion.platform.lookups import ClusterAllowed, NoRemoteRun, RemoteRun
from lykeion.platform.policies.steps import STEP_LABEL
from lykeion.platform.resources.pipelines import PIPELINE_RUN, PipelineRun

from .cluster_reach import ClusterReach

HOME_LABEL = f"{GROUP}/home"
"""The UID of the ClusterProfile of the cluster from which a run was made."""
OWNER_NAMESPACE_LABEL = f"{GROUP}/owner-namespace"

SWEPT_AT_ONCE = 4
"""Namespaces with their clusters."""
PAIR_S = 60.0

_KINDS = {PIPELINE_RUN.name: PIPELINE_RUN}
_LEFT = frozenset({"Failed", "Cancelled"})
"""Phases of steps for which nothing is to run any more."""
_log = logging.getLogger("lykeion.kubernetes")


class OtherVersion(Conflict):
    """The run of a step is there, but this version cannot read it."""


@dataclass(frozen=True)
class RemoteRuns:
    """``home`` says which cluster this is, empty if that is not known; ``runs`` are those of this cluster.

    ``pair_s`` is how long a sweep looks after one namespace's runs in one cluster.
    """

    reach: ClusterReach
    home: Callable[[], str]
    runs: CustomResources
    pair_s: float = PAIR_S

    def answers(self) -> Answers:
        return {ClusterAllowed: self._allowed, RemoteRun: self._made, NoRemoteRun: self._removed}

    async def keep_swept(self, every_s: float) -> NoReturn:
        """Sweep now and from time to time, until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(every_s)

    async def sweep(self) -> int:
        """Delete runs in other clusters whose run here is gone or waits for them no more. Returns how many.

        Each namespace's are listed with its own credentials, which are good for one namespace there: one listing of
        all in a cluster would need a right that no account is given, and one tenant's account for the runs of others.
        Those that are asked together are few, and each has a time: what is not done by then is done the next time.
        """
        turns = asyncio.Semaphore(SWEPT_AT_ONCE)

        async def in_turn(cluster: str, namespace: str) -> int:
            async with turns:
                return await self._swept(cluster, namespace)

        pairs = self.reach.pairs() if self.home() else ()
        return sum(await asyncio.gather(*(in_turn(*each) for each in pairs)))

    async def _allowed(self, asked: ClusterAllowed) -> bool:
        """Raises NotAllowed."""
        self.reach.allowed(asked.cluster, asked.namespace)
        return True

    async def _made(self, asked: RemoteRun) -> AnyResource:
        """Raises Exists for another's of the same name, OtherVersion, Invalid for what the cluster refuses, and as
        ``use`` does.
        """
        return await self.reach.use(asked.cluster, asked.namespace, lambda client: self._readable(client, asked))

    async def _readable(self, client: ClusterClient, asked: RemoteRun) -> AnyResource:
        """What cannot be read but is there runs: the step must not fail beside it."""
        try:
            return await self._as_wanted(client, asked)
        except ResourceError as wrong:
            if await _metadata(client, asked.name) is None:
                raise
            raise OtherVersion(
                f"the cluster {asked.cluster}: {wrong}; does it have a later version? upgrade this cluster's operator"
            ) from None

    async def _as_wanted(self, client: ClusterClient, asked: RemoteRun) -> AnyResource:
        runs, wanted = runs_through(client), self._labelled(asked, client.namespace)
        try:
            there = await runs.get(wanted.key)
        except NoSuchResource:
            return await _created(runs, wanted)
        if there.metadata.labels.get(OWNER_UID_LABEL) != asked.owner_uid:
            raise Exists(f"the cluster {asked.cluster} has another {wanted.key}; waiting until it is deleted")
        if there.spec.suspend == wanted.spec.suspend or there.is_ending:
            return there
        spec = structs.replace(there.spec, suspend=wanted.spec.suspend)
        return await runs.apply(replace(there, spec=spec))

    async def _removed(self, asked: NoRemoteRun) -> bool:
        """Of a run of the same name that is another's, there is nothing to remove."""
        return await self.reach.use(asked.cluster, asked.namespace, lambda client: self._is_gone(client, asked))

    async def _is_gone(self, client: ClusterClient, asked: NoRemoteRun) -> bool:
        """Nothing but its metadata is read, which is the same in all versions."""
        there = await _metadata(client, asked.name)
        if there is None or inside(there, "labels").get(OWNER_UID_LABEL) != asked.owner_uid:
            return True
        key = Key(PIPELINE_RUN.name, client.namespace, asked.name)
        with suppress(NoSuchResource):
            await runs_through(client).delete(key, there["uid"])
        return await _metadata(client, asked.name) is None

    def _labelled(self, asked: RemoteRun, namespace: str) -> AnyResource:
        """It has no owner, since its owner is not in that cluster, where it would count as gone."""
        labels = {
            **asked.wanted.metadata.labels,
            MANAGED_BY: MANAGER,
            HOME_LABEL: self.home(),
            OWNER_LABEL: asked.owner,
            OWNER_NAMESPACE_LABEL: asked.namespace,
            OWNER_UID_LABEL: asked.owner_uid,
        }
        metadata = structs.replace(asked.wanted.metadata, namespace=namespace, labels=labels)
        return replace(asked.wanted, metadata=metadata)

    async def _swept(self, cluster: str, namespace: str) -> int:
        swept = 0
        try:
            async with asyncio.timeout(self.pair_s):
                for each in await self.reach.use(cluster, namespace, partial(self._listed, namespace)):
                    if "deletionTimestamp" not in each["metadata"] and await self._is_left(each, namespace):
                        await self.reach.use(cluster, namespace, partial(_deleted, each["metadata"]))
                        swept += 1
        except TimeoutError:
            _log.info(
                "the cluster %s, for %s: more than %g s; the rest is swept later", cluster, namespace, self.pair_s
            )
        except LykeionError as error:
            _log.info("%s; it is swept later", error)
        return swept

    async def _listed(self, namespace: str, client: ClusterClient) -> list[KubeObject]:
        labels = {MANAGED_BY: MANAGER, HOME_LABEL: self.home(), OWNER_NAMESPACE_LABEL: namespace}
        selected = ",".join(f"{name}={value}" for name, value in labels.items())
        return (await list_objects(client, Watched(custom_type(PIPELINE_RUN), client.namespace, selected)))[0]

    async def _is_left(self, document: KubeObject, namespace: str) -> bool:
        labels = document["metadata"]["labels"]
        if not (owner := labels.get(OWNER_LABEL)):  # somebody there has labelled it
            return False
        try:
            run: PipelineRun = await self.runs.get(Key(PIPELINE_RUN.name, namespace, owner))
        except NoSuchResource:
            return True
        except ResourceError:  # it is there, as another version wrote it
            return False
        if run.metadata.uid != labels.get(OWNER_UID_LABEL):
            return True
        step = next((each for each in run.status.steps if each.name == labels.get(STEP_LABEL)), None)
        return step is not None and step.phase in _LEFT and not _has_ended(document)


async def _created(runs: CustomResources, wanted: AnyResource) -> AnyResource:
    try:
        return await runs.create(wanted)
    except Exists:  # a moment ago, by a process that was killed
        there = await runs.get(wanted.key)
        if there.metadata.labels.get(OWNER_UID_LABEL) == wanted.metadata.labels[OWNER_UID_LABEL]:
            return there
        raise
    except NoSuchResource as missing:  # the namespace
        raise ClusterError(str(missing)) from None


async def _deleted(metadata: KubeObject, client: ClusterClient) -> None:
    key = Key(PIPELINE_RUN.name, client.namespace, metadata["name"])
    with suppress(NoSuchResource):
        await runs_through(client).delete(key, metadata["uid"])
    _log.info("%s was left at %s, and is deleted", key, client.server)


async def _metadata(client: ClusterClient, name: str) -> KubeObject | None:
    """Of a run; None if there is none."""
    try:
        found = await client.get(custom_type(PIPELINE_RUN).path(client.namespace, name), f"pipelinerun/{name}")
    except NoSuchResource:
        return None
    return inside(found, "metadata")


def runs_through(client: ClusterClient) -> CustomResources:
    """The runs of pipelines in a cluster."""
    return CustomResources(client, _KINDS, (client.namespace,), WatchAges(), WatchTimes())


def _has_ended(document: KubeObject) -> bool:
    conditions: list[KubeObject] = inside(document, "status").get("conditions") or []
    return any(each.get("type") in ("Complete", "Failed") and each.get("status") == "True" for each in conditions)
