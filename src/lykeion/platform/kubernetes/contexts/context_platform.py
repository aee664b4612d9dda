"""A cluster as a place for commands: its resources, and the output of its programs."""

import shlex
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from lykeion.control import AnyKind, Key
from lykeion.core import Unsupported
from lykeion.platform.composition import KINDS
from lykeion.platform.kubernetes.api import ClusterClient
from lykeion.platform.kubernetes.store import ClusterStore
from lykeion.platform.kubernetes.translations import TRANSLATIONS

from .kubeconfig_contexts import cluster_access
from .pod_logs import pod_log


def cluster_client_of(context: str) -> ClusterClient:
    """For a context, by default the kubeconfig's current one. Raises KubeconfigError."""
    return ClusterClient(cluster_access(context))


def namespace_of(context: str) -> str:
    """The one that a context names. Raises KubeconfigError."""
    return cluster_access(context).namespace or "default"


class ContextPlatform(ClusterStore):
    """Of a context of the kubeconfig; it looks into ``namespace``, or into all, for ``kinds`` or the platform's own.

    Raises KubeconfigError.
    """

    def __init__(
        self, context: str, namespace: str | None = None, kinds: Mapping[str, AnyKind] | None = None
    ) -> None:
        self._context, self._client = context, cluster_client_of(context)
        inside = (namespace,) if namespace else ()
        super().__init__(self._client, kinds or KINDS, TRANSLATIONS, namespaces=inside)

    async def __aenter__(self) -> "ContextPlatform":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        await self._client.close()

    async def log(
        self, key: Key, index: int = 0, *, part: str = "", follow: bool = False, tail: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(pod_log(self._client, self, key, index, part, follow=follow, tail=tail)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def metrics(self, key: Key, *, follow: bool = False) -> AsyncGenerator[dict[str, float], None]:
        """Raises Unsupported: they are in a volume, which only pods can read."""
        place = f"--context {shlex.quote(self._context)} " if self._context else ""
        raise Unsupported(
            f"{key}: its metrics are in a volume of the cluster, which is not read from here; see what it prints: "
            f"lykeion {place}logs {key} -n {key.namespace}"
        )
        yield {}  # makes it a generator
