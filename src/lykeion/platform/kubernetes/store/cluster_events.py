"""Events of resources as Kubernetes has them, repeats as one series: https://kep.k8s.io/383."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lykeion.control import CLUSTER, GROUP, AnyResource, Event, Happened, NoSuchResource
from lykeion.platform.kubernetes.api import ClusterClient, Watched, list_objects
from lykeion.platform.kubernetes.objects import EVENTS, MANAGED_BY, MANAGER, KubeObject, inside

KEPT_EVENTS = 50
KEPT_SERIES = 1000
SERIES_LASTS = timedelta(minutes=6)
"""A repeat after this time is a new event, as client-go has it."""
WRITE_AGAIN = timedelta(minutes=1)
"""The count of a series is written at most so often."""
LIMIT_NOTE_BYTES = 1024


@dataclass
class _Series:
    name: str
    count: int
    last: datetime
    written: datetime


class ClusterEvents:
    """``instance`` is the name of this process, such as its pod's."""

    def __init__(
        self, client: ClusterClient, instance: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._client, self._instance, self._now = client, instance, now
        self._series: OrderedDict[tuple[str, Event], _Series] = OrderedDict()

    async def record(self, resource: AnyResource, event: Event) -> None:
        now, key = self._now(), (resource.metadata.uid, event)
        series = self._series.get(key)
        if series is None or now - series.last > SERIES_LASTS:
            document = self._document(resource, event, now)
            self._remember(key, _Series(document["metadata"]["name"], 1, now, now))
            await self._client.post(EVENTS.path(_namespace(resource)), str(resource.key), document)
            return
        series.count, series.last = series.count + 1, now
        if series.count == 2 or now - series.written > WRITE_AGAIN:
            series.written = now
            await self._write(resource, key, series)

    async def of(self, resource: AnyResource) -> tuple[Happened, ...]:
        """Ours and those of others, oldest first; Kubernetes keeps them for an hour unless told otherwise."""
        watched = Watched(EVENTS, _namespace(resource), fields=f"regarding.uid={resource.metadata.uid}")
        documents, _ = await list_objects(self._client, watched)
        return tuple(sorted(map(_happened, documents), key=lambda each: each.at)[-KEPT_EVENTS:])

    def _remember(self, key: tuple[str, Event], series: _Series) -> None:
        self._series[key] = series
        self._series.move_to_end(key)
        while len(self._series) > KEPT_SERIES:
            self._series.popitem(last=False)

    async def _write(self, resource: AnyResource, key: tuple[str, Event], series: _Series) -> None:
        path = EVENTS.path(_namespace(resource), series.name)
        counted = {"series": {"count": series.count, "lastObservedTime": _micro_time(series.last)}}
        try:
            await self._client.patch(path, str(resource.key), counted, "merge")
        except NoSuchResource:  # the server no longer keeps it: the next is a new one
            self._series.pop(key, None)

    def _document(self, resource: AnyResource, event: Event, now: datetime) -> KubeObject:
        metadata = resource.metadata
        digest = hashlib.sha256(f"{metadata.uid}\0{event}\0{now.isoformat()}".encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {
                "name": f"{metadata.name}.{digest}",
                "namespace": _namespace(resource),
                "labels": {MANAGED_BY: MANAGER},
            },
            "eventTime": _micro_time(now),
            "reportingController": f"{GROUP}/operator",
            "reportingInstance": self._instance[:128],
            "action": "Reconcile",
            "type": event.type,
            "reason": event.reason,
            "note": event.message.encode()[:LIMIT_NOTE_BYTES].decode(errors="ignore"),
            "regarding": _reference(resource),
        }


def _reference(resource: AnyResource) -> KubeObject:
    metadata = resource.metadata
    reference = {
        "apiVersion": resource.kind.api_version,
        "kind": resource.kind.name,
        "name": metadata.name,
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
    }
    return {**reference, "namespace": metadata.namespace} if resource.kind.namespaced else reference


def _namespace(resource: AnyResource) -> str:
    """Events of objects without a namespace are in this one."""
    return resource.metadata.namespace if resource.kind.namespaced else CLUSTER


def _micro_time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _happened(document: KubeObject) -> Happened:
    """Programs that still use the older API fill in the deprecated times."""
    last = inside(document, "series").get("lastObservedTime") or document.get("eventTime")
    at: str = last or document.get("deprecatedLastTimestamp") or document["metadata"]["creationTimestamp"]
    type_ = "Warning" if document.get("type") == "Warning" else "Normal"
    event = Event(type_, str(document.get("reason", "")), str(document.get("note", "")))
    return Happened(datetime.fromisoformat(at), event)
