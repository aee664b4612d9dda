"""Requests to other clusters: which are allowed, with whose credentials, and how long one that fails is left."""

import asyncio
import base64
import binascii
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from lightkube.config.kubeconfig import SingleConfig

from lykeion.control import NoSuchResource
from lykeion.core import Invalid, LykeionError, Refused, Unavailable
from lykeion.platform.kubernetes.api import ClusterClient, ClusterError, ClusterRefused, WatchTimes
from lykeion.platform.kubernetes.objects import CREDENTIALS, SECRETS
from lykeion.platform.resources.settings import AllowedCluster, ClusterProfileSpec

from .given_access import given_access

T = TypeVar("T")

ANSWER_S = 10.0
"""Less than a lookup waits for its turn: NotAsked is said of clusters that are slow, not of those that are away."""
KEPT_S = 300.0
"""Credentials are read again after that time, and after each failure: tokens expire and are replaced."""

Connect: TypeAlias = Callable[[SingleConfig], ClusterClient]
_log = logging.getLogger("lykeion.kubernetes")


class NotAllowed(Invalid):
    """The ClusterProfile does not let the namespace use the cluster."""


@dataclass
class _Connection:
    """One namespace's to one cluster. ``again`` is when a cluster that failed at ``failed`` is asked again."""

    client: ClusterClient | None = None
    kubeconfig: bytes = b""
    until: float = 0.0
    failures: int = 0
    failed: float = -math.inf
    again: float = 0.0
    error: LykeionError | None = None
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)


class ClusterReach:
    """``profile`` is what this cluster's profile says now; ``connect`` makes a client of credentials.

    ``namespaces`` limits for which namespaces of this cluster others are used; by default for all that are allowed.
    A cluster that has not answered within ``answer_s`` counts as unreachable.
    """

    def __init__(
        self,
        home: ClusterClient,
        profile: Callable[[], ClusterProfileSpec],
        connect: Connect,
        namespaces: tuple[str, ...] = (),
        *,
        times: WatchTimes | None = None,
        now: Callable[[], float] = time.monotonic,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._home, self._profile, self._connect, self._namespaces = home, profile, connect, namespaces
        self._times, self._now, self._answer_s = times or WatchTimes(), now, answer_s
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._replaced: list[tuple[float, ClusterClient]] = []
        """With the time from which nobody waits for an answer of theirs any more."""

    async def close(self) -> None:
        kept = [each.client for each in self._connections.values() if each.client]
        for client in (*kept, *(each for _, each in self._replaced)):
            await client.close()

    def allowed(self, cluster: str, namespace: str) -> AllowedCluster:
        """Raises NotAllowed."""
        for each in self._profile().clusters:
            if each.name == cluster and namespace in each.namespaces:
                return each
        raise NotAllowed(
            f"the ClusterProfile does not let the namespace {namespace} use a cluster {cluster}: add it to clusters"
        )

    def pairs(self) -> list[tuple[str, str]]:
        """Each cluster with each namespace of this one that may use it."""
        every = [(each.name, namespace) for each in self._profile().clusters for namespace in each.namespaces]
        return [pair for pair in every if not self._namespaces or pair[1] in self._namespaces]

    async def use(self, cluster: str, namespace: str, ask: Callable[[ClusterClient], Awaitable[T]]) -> T:
        """What ``ask`` returns for the client of the cluster with the namespace's credentials.

        A cluster that has failed is asked again after a pause that doubles; until then its error is raised. Raises
        NotAllowed, Unavailable and Refused, which name the cluster, and what else ``ask`` raises.
        """
        allowed = self.allowed(cluster, namespace)
        kept = self._connections.setdefault((cluster, namespace), _Connection())
        begun = self._now()
        if kept.error and begun < kept.again:
            raise kept.error
        kept.again = begun + self._answer_s  # meanwhile others get the error at once
        try:
            async with asyncio.timeout(self._answer_s):
                found = await ask(await self._client(kept, allowed, namespace))
        except (Unavailable, Refused, TimeoutError) as error:
            raise self._failed(kept, cluster, error, begun) from None
        except LykeionError:
            self._answered(kept, cluster)
            raise
        except Exception as error:  # of one cluster or one namespace's credentials: it must not end what others do
            _log.exception("the cluster %s, for the namespace %s", cluster, namespace)
            wrong = ClusterError(f"its credentials or its answer cannot be used ({type(error).__name__})")
            raise self._failed(kept, cluster, wrong, begun) from None
        self._answered(kept, cluster)
        return found

    def _answered(self, kept: _Connection, cluster: str) -> None:
        if kept.error:
            _log.info("the cluster %s answers again", cluster)
        kept.failures, kept.error = 0, None

    def _failed(self, kept: _Connection, cluster: str, error: Exception, begun: float) -> LykeionError:
        """Of several that were asked together, the first to fail says how long the cluster is left alone."""
        words = f"the cluster {cluster}: {str(error) or f'no answer within {self._answer_s:g} s'}"
        kept.error, kept.until = ClusterRefused(words) if isinstance(error, Refused) else ClusterError(words), 0.0
        if begun > kept.failed:
            kept.failures, kept.failed = kept.failures + 1, self._now()
            kept.again = kept.failed + self._times.back_off_s(kept.failures)
            if kept.failures == 1:
                _log.warning("%s; asking again", words)
        return kept.error

    async def _client(self, kept: _Connection, allowed: AllowedCluster, namespace: str) -> ClusterClient:
        """The same as long as the credentials are: what others still wait for is not broken off."""
        async with kept.opening:
            if kept.client is None or self._now() > kept.until or kept.client.server != allowed.server:
                text = await self._credentials(allowed.name, namespace)
                if kept.client is None or text != kept.kubeconfig or kept.client.server != allowed.server:
                    where = f"the key {allowed.name} of secret/{CREDENTIALS} in {namespace}"
                    access = given_access(text, allowed.server, where, namespace)
                    made = self._connect(access)
                    if kept.client:
                        self._replaced.append((self._now() + self._answer_s, kept.client))
                    kept.client, kept.kubeconfig = made, text
                    await self._close_replaced()
                kept.until = self._now() + KEPT_S
            return kept.client

    async def _close_replaced(self) -> None:
        """Whoever changes a Secret again and again leaves no connections behind."""
        due = [each for each in self._replaced if each[0] < self._now()]
        self._replaced = [each for each in self._replaced if each not in due]
        for _, client in due:
            await client.close()

    async def _credentials(self, cluster: str, namespace: str) -> bytes:
        what = f"secret/{CREDENTIALS}"
        try:
            secret = await self._home.get(SECRETS.path(namespace, CREDENTIALS), what)
            return base64.b64decode(secret["data"][cluster], validate=True)
        except ClusterRefused:
            raise Refused(
                f"{what} in {namespace} may not be read; bind the ClusterRole {CREDENTIALS} there to the operator"
            ) from None
        except (NoSuchResource, KeyError, TypeError, binascii.Error):
            raise Refused(f"{what} in {namespace} has no key {cluster}; put a kubeconfig there") from None
