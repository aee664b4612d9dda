"""What the operator finds out of the cluster that it runs in: versions, extensions, and its ClusterProfile."""

import asyncio
import logging
import os
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from lykeion.control import AnyResource, Change, Key, Listing, follow
from lykeion.core import LykeionError, Refused, Unavailable
from lykeion.platform.kubernetes.api import ClusterClient
from lykeion.platform.kubernetes.objects import JOBS, ClusterFacts, parts
from lykeion.platform.kubernetes.store import ClusterStore
from lykeion.platform.resources.settings import CLUSTER_PROFILE, ClusterProfileSpec

READ_AGAIN_S = 60.0
"""How long what is installed beside the operator, such as JobSet, may stay unseen."""

_log = logging.getLogger("lykeion.kubernetes")


async def read_facts(client: ClusterClient, image: str = "") -> ClusterFacts:
    """All but the profile. Raises what the client raises."""
    version = await client.get("/version", "the version")
    groups: list[dict[str, Any]] = (await client.get("/apis", "the API groups"))["groups"]
    served = frozenset(str(each["groupVersion"]) for group in groups for each in group["versions"])
    return ClusterFacts(
        image=image,
        version=(_number(version["major"]), _number(version["minor"])),
        served=served,
        registries=os.environ.get("LYKEION_REGISTRIES", ""),
    )


async def keeps_image_volumes(client: ClusterClient, namespace: str) -> bool:
    """Whether a volume with the files of an image is still there in what the API server would store of a Job.

    Raises Unavailable.
    """
    metadata = {"name": "lykeion-image-volumes", "namespace": namespace}
    volume = {"name": "files", "image": {"reference": "files"}}
    pod = {"restartPolicy": "Never", "containers": [{"name": "none", "image": "none"}], "volumes": [volume]}
    job = {"apiVersion": JOBS.api_version, "kind": JOBS.kind, "metadata": metadata}
    document = {**job, "spec": {"suspend": True, "template": {"spec": pod}}}
    try:
        made = await client.post(JOBS.path(namespace), "a Job that is not stored", document, {"dryRun": "All"})
    except Unavailable:
        raise
    except LykeionError as error:
        _log.warning("whether there are image volumes is not known, so they are refused: %s", error)
        return False
    return any("image" in each for each in parts(made, "spec", "template", "spec", "volumes"))


class ProfileInUse:
    """Keeps the facts of ``store`` up to date with the cluster, and with its profile: the first by name, if any."""

    def __init__(self, store: ClusterStore, facts: ClusterFacts) -> None:
        self._store, self.facts = store, facts
        self._profiles: dict[Key, AnyResource] = {}
        self.listed = asyncio.Event()
        self.uid = ""
        """Of the profile; it tells this cluster from others."""

    async def run(self) -> None:
        await follow(self._store, CLUSTER_PROFILE, self._listed, self._changed)

    async def keep_read(self, read: Callable[[], Awaitable[ClusterFacts]], every_s: float = READ_AGAIN_S) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                found = await read()
            except (Unavailable, Refused) as error:
                _log.warning("%s; asking again", error)
                continue
            self.facts = replace(found, profile=self.facts.profile)
            self._store.use(self.facts)

    def _listed(self, listing: Listing) -> None:
        self._profiles = {each.key: each for each in listing.items}
        self._use()
        self.listed.set()

    def _changed(self, change: Change) -> None:
        self._profiles.pop(change.resource.key, None)
        if change.type != "DELETED":
            self._profiles[change.resource.key] = change.resource
        self._use()

    def _use(self) -> None:
        first = min(self._profiles, default=None)
        profile = self._profiles[first].spec if first else ClusterProfileSpec()
        self.uid = self._profiles[first].metadata.uid if first else ""
        self.facts = replace(self.facts, profile=profile)
        self._store.use(self.facts)


def _number(text: str) -> int:
    """Some clouds write a minor version as ``34+``."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else 0
