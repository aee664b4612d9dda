"""What a server keeps, of what is written of a Work."""

from collections.abc import Iterator
from typing import Any

from lykeion.platform.kubernetes.objects import ObjectChange, key_of
from lykeion.platform.kubernetes.works.work_translation import WORKS

from .job_documents import FACTS, stored


class WrittenObjects:
    """An operator writes to them until it is killed."""

    def __init__(self, *documents: Any) -> None:
        self.there = {key_of(each): each for each in documents}
        self.version = 1

    def write(self, change: ObjectChange) -> None:
        document, self.version = change.document, self.version + 1
        key = key_of({**document, "metadata": {"namespace": "default", **document["metadata"]}})
        if change.verb == "delete":
            self.there.pop(key, None)
        elif change.verb == "create":
            assert key not in self.there
            self.there[key] = {**stored(document, f"uid-{self.version}", self.version), "status": {}}
        else:
            was, given = self.there[key], document["metadata"].get("annotations", {})
            kept = {**was["metadata"].get("annotations", {}), **given}
            labels = {**was["metadata"].get("labels", {}), **document["metadata"].get("labels", {})}
            metadata = {
                **was["metadata"],
                "labels": labels,
                "annotations": {name: value for name, value in kept.items() if value is not None},
            }
            bodies = {part: {**was.get(part, {}), **document.get(part, {})} for part in ("spec", "status")}
            self.there[key] = {**was, **bodies, "metadata": metadata}

    def converge(self, wanted: Any, kill: int) -> None:
        """As an operator that lives for so many writes, and the next one until there is nothing to do."""
        for writes in (kill, 100):
            for change in self._changes(wanted):
                if writes == 0:
                    break
                self.write(change)
                writes -= 1

    def _changes(self, wanted: Any) -> Iterator[ObjectChange]:
        while True:
            primary, others = self.split()
            if primary is None:
                made = WORKS.succeeding(wanted, FACTS, others) or WORKS.objects(wanted, FACTS)[0]
                yield ObjectChange("create", made)
            elif equal(wanted, WORKS.resource_of(primary, others)):
                return
            else:
                yield from WORKS.changes((primary, *others), wanted, FACTS)

    def split(self) -> tuple[Any, list[Any]]:
        others = dict(self.there)
        primary = others.pop(("Job", "default", "embed"), None)
        return primary, list(others.values())


def equal(wanted: Any, present: Any) -> bool:
    """Whether a controller that wants the one leaves the other as it is."""
    return bool(wanted.spec == present.spec and wanted.metadata.labels == present.metadata.labels)
