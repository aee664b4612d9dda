"""What controllers look up outside the store; each place where the platform runs answers them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lykeion.control import AnyResource, Lookup


@dataclass(frozen=True)
class ModelVersion(Lookup):
    """A version in the registry, such as ``shoes:champion``. The answer is a ``FoundModel``, or None."""

    reference: str

    @property
    def source(self) -> str:
        return _registry(self.reference)


@dataclass(frozen=True)
class FoundModel:
    """``reference`` pins the version by its number; ``metrics`` are those of its card."""

    reference: str
    digest: str
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class SourceDigest(Lookup):
    """What a directory, or a revision of a Git repository, holds now. The answer is a ``SourceVersion``."""

    directory: str = ""
    repository: str = ""
    revision: str = ""

    @property
    def source(self) -> str:
        return self.repository or "the directories"


@dataclass(frozen=True)
class SourceVersion:
    """``reference`` is the directory or the commit, ``digest`` the digest of the files or the commit."""

    reference: str
    digest: str


@dataclass(frozen=True)
class ImageDigest(Lookup):
    """The digest of an image by name. The answer is empty where programs do not run in images."""

    name: str

    @property
    def source(self) -> str:
        return _registry(self.name)


@dataclass(frozen=True)
class RouteCounts(Lookup):
    """What the proxy has counted for a route. The answer maps the names of groups to ``GroupCounts``."""

    namespace: str
    route: str


@dataclass(frozen=True)
class GroupCounts:
    """Requests of a group since the proxy started, a time that ``since`` tells apart.

    ``failures`` are responses with a status of 500 or above, and requests that got no response. ``buckets`` holds
    the number of ended requests at most so many seconds long, as in a Prometheus histogram: cumulative, by upper
    edge, of which the last is infinity; or nothing.
    """

    since: str
    requests: int
    failures: int
    in_flight: int
    buckets: Mapping[float, int]


@dataclass(frozen=True)
class GroupCores(Lookup):
    """How many cores the replicas of a group have used together since the last look, a number."""

    namespace: str
    group: str


@dataclass(frozen=True)
class PrometheusCounts(Lookup):
    """What queries to a Prometheus server say of one group. The answer is ``GroupCounts``.

    Its one bucket is ``slow_seconds``, if there is a query of slow requests.
    """

    url: str
    requests: str
    failures: str
    slow: str = ""
    slow_seconds: float = 0.0

    @property
    def source(self) -> str:
        return self.url


Labels: TypeAlias = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ReplicaCounts(Lookup):
    """What the replicas of a group count, added up. The answer is ``GroupCounts``.

    ``requests`` and ``failures`` are names of counters with patterns of labels, ``latency`` that of a histogram.
    """

    namespace: str
    group: str
    path: str
    requests: tuple[str, Labels]
    failures: tuple[str, Labels]
    latency: str = ""

    @property
    def source(self) -> str:
        return f"the replicas in {self.namespace}"


@dataclass(frozen=True)
class ClusterAllowed(Lookup):
    """Whether steps of a namespace may run in another cluster. The answer is True, or the error that says why not."""

    cluster: str
    namespace: str


@dataclass(frozen=True)
class RemoteRun(Lookup):
    """Asks for a run to be in another cluster as ``wanted``. The answer is the run that is there.

    ``namespace``, ``owner`` and ``owner_uid`` are those of the run here for whose step it is made.
    """

    cluster: str
    namespace: str
    name: str
    owner: str
    owner_uid: str
    wanted: AnyResource = field(compare=False)

    @property
    def source(self) -> str:
        return _as_used(self.cluster, self.namespace)


@dataclass(frozen=True)
class NoRemoteRun(Lookup):
    """Asks for a run to be no longer in another cluster. The answer is whether it is gone."""

    cluster: str
    namespace: str
    name: str
    owner: str
    owner_uid: str

    @property
    def source(self) -> str:
        return _as_used(self.cluster, self.namespace)


def _registry(name: str) -> str:
    """By its host, if the name has one: who names a registry that is silent holds up no others."""
    host, slash, _ = name.partition("/")
    return f"the registry {host}" if slash and ("." in host or ":" in host) else "the registry"


def _as_used(cluster: str, namespace: str) -> str:
    """With the credentials of one namespace: those of another wait for nothing that it asks."""
    return f"the cluster {cluster}, for {namespace}"
