"""What is known of the objects of one plain kind, and the resources that are computed from them. No input or output.

Objects of several types come from several watches, in any order between types, and as answers to our own writes.
"""

import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

from msgspec import structs

from lykeion.control import AnyResource, Change, ResourceError
from lykeion.platform.kubernetes.objects import (
    EVENTS,
    INCOMPLETE,
    NOTHING,
    PODS,
    KubeObject,
    ObjectSource,
    ObjectType,
    Translation,
    key_of,
    part,
    text,
    version_of,
)

REMEMBERED_UIDS = 10_000
EARLY_EVENTS = 1000
"""Events about pods that are not known, most of which are not ours."""

ViewName = tuple[str, str]
"""The namespace and name of a resource."""

_log = logging.getLogger("lykeion.kubernetes")


class ViewState:
    """``put``, ``remove`` and ``replace`` return the changes of resources that follow from theirs of objects."""

    def __init__(self, translation: Translation) -> None:
        self._translation = translation
        self._sources = {each.type.kind: each for each in translation.sources}
        self._objects: defaultdict[ViewName, dict[tuple[str, str, str], KubeObject]] = defaultdict(dict)
        self._pods: dict[ViewName, ViewName] = {}
        self._early: deque[KubeObject] = deque(maxlen=EARLY_EVENTS)
        self._ended: deque[str] = deque(maxlen=REMEMBERED_UIDS)
        self.resources: dict[ViewName, AnyResource] = {}
        self.unsettled: set[ViewName] = set()
        """Those whose owner waits for something that their resource does not show, such as the end of other pods."""

    def put(self, document: KubeObject) -> list[Change]:
        """Take in an object, unless a newer version of it is known, or it is known to have been deleted."""
        view = self.view_of(document)
        if view is None and _pod_of(document):
            self._early.append(document)
        if view is None or document["metadata"]["uid"] in self._ended:
            return []
        known = self._objects[view].get(key_of(document))
        if known and version_of(known) >= version_of(document):
            return []
        self._objects[view][key_of(document)] = document
        if document["kind"] == PODS.kind:
            self._note_pod(document, view)
        return self._computed(view, version_of(document))

    def remove(self, document: KubeObject) -> list[Change]:
        """Forget an object; ``document`` has the version of its deletion."""
        self._ended.append(document["metadata"]["uid"])
        view = self.view_of(document)
        known = self._objects[view].get(key_of(document)) if view else None
        if view is None or known is None or known["metadata"]["uid"] != document["metadata"]["uid"]:
            return []
        del self._objects[view][key_of(document)]
        if document["kind"] == PODS.kind:
            self._forget_pod(document, view)
        return self._computed(view, version_of(document))

    def replace(
        self, source: ObjectSource, documents: Iterable[KubeObject], version: int, namespace: str | None
    ) -> list[Change]:
        """Take in all objects of a source as they were at ``version``: those that are missing have been deleted."""
        listed = list(documents)
        there = {key_of(each) for each in listed}
        gone = [
            each
            for each in self._of_type(source.type, namespace)
            if source.selects(each) and key_of(each) not in there and version_of(each) <= version
        ]
        changes: list[Change] = []
        for each in gone:
            metadata = {**each["metadata"], "resourceVersion": str(version)}
            changes += self.remove({**each, "metadata": metadata})
        for each in listed:
            changes += self.put(each)
        return changes

    def again(self) -> list[Change]:
        """Tell once more of resources of which something is missing: perhaps it can be made now."""
        incomplete = [view for view, each in self.resources.items() if INCOMPLETE in each.metadata.labels]
        self.unsettled.update(incomplete)
        return [change for view in incomplete for change in self._computed(view, 0)]

    def objects(self, view: ViewName) -> tuple[KubeObject | None, list[KubeObject]]:
        """The primary of a resource, if it is there, and its other objects."""
        known = dict(self._objects.get(view, {}))
        namespace, name = view
        primary = known.pop((self._translation.sources[0].type.kind, namespace, name), None)
        return primary, list(known.values())

    def _of_type(self, type_: ObjectType, namespace: str | None) -> Iterator[KubeObject]:
        for (inside, _), known in self._objects.items():
            if namespace in (None, inside):
                yield from (each for each in known.values() if each["kind"] == type_.kind)

    def view_of(self, document: KubeObject) -> ViewName | None:
        source: ObjectSource | None = self._sources.get(document["kind"])
        name = source.name_of(document) if source else ""
        if not name:
            return self._pods.get(_pod_of(document) or ("", ""))
        return document["metadata"].get("namespace", ""), name

    def _note_pod(self, pod: KubeObject, view: ViewName) -> None:
        """With the events about it that were there before it."""
        named = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        if named not in self._pods:
            self._pods[named] = view
            about = [each for each in self._early if _pod_of(each) == named]
            self._objects[view] |= {key_of(each): each for each in about}

    def _forget_pod(self, pod: KubeObject, view: ViewName) -> None:
        """With the events about it."""
        named = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._pods.pop(named, None)
        for each in [each for each in self._objects[view].values() if _pod_of(each) == named]:
            del self._objects[view][key_of(each)]

    def _computed(self, view: ViewName, version: int) -> list[Change]:
        before, after = self.resources.get(view), self._resource(view)
        if after is None:
            if not self._objects[view]:
                del self._objects[view]
            return [] if before is None else [Change("DELETED", _at(self.resources.pop(view), version))]
        if before is None or before.metadata.uid != after.metadata.uid:
            self.resources[view] = after
            ended = [] if before is None else [Change("DELETED", before)]
            return [*ended, Change("ADDED", after)]
        last = int(before.metadata.resource_version)
        if _at(after, last) == before and view not in self.unsettled:
            return []
        self.unsettled.discard(view)
        # A change that another watch brings late may have an earlier version than what was computed last.
        newer = max(version, int(after.metadata.resource_version), last + 1)
        self.resources[view] = _at(after, newer)
        return [Change("MODIFIED", self.resources[view])]

    def _resource(self, view: ViewName) -> AnyResource | None:
        primary, others = self.objects(view)
        if primary is None:
            return None
        try:
            return self._translation.resource_of(primary, others)
        except ResourceError as wrong:
            _log.warning("%s; it is left alone", wrong)
            return None
        except Exception:  # one object as we have not foreseen it must not end what is done for all others
            _log.exception("%s/%s cannot be computed; it stays as it was", *view)
            return self.resources.get(view)


def _pod_of(event: KubeObject) -> ViewName | None:
    """The namespace and name of the pod that an event is about."""
    about = part(event, "regarding") if event["kind"] == EVENTS.kind else NOTHING
    return (text(about, "namespace"), text(about, "name")) if about.get("kind") == PODS.kind else None


def _at(resource: AnyResource, version: int) -> AnyResource:
    return replace(resource, metadata=structs.replace(resource.metadata, resource_version=str(version)))
