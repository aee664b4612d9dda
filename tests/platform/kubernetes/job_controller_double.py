"""Kubernetes' Job controller, as far as it counts the failures of indexes (1.34, ``indexed_job_utils.go``).

An index has as many failures as its pod says. The next pod says one more than the last failed one, which is kept for
that; once there is a next pod, the failed ones are kept no longer. Suspending a Job deletes its pods that run.
"""

from collections import Counter
from typing import Any

from lykeion.platform.kubernetes.objects import annotation, key_of
from lykeion.platform.kubernetes.works.work_pods import INDEX, failures_before, has_ended, index_of, owned_by
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.resources.plain_kinds.index_ranges import from_ranges, to_ranges

from .job_documents import FACTS, IGNORED_FAILURES, RUNNING, ended, pod, true
from .written_objects import WrittenObjects, equal


class JobControllerDouble(WrittenObjects):
    """A Work's Job and pods. ``failures`` are those of each index that count, in all Jobs there have been."""

    def __init__(self, wanted: Any, job: Any) -> None:
        super().__init__(job)
        self.wanted, self.failures = wanted, Counter[int]()
        self._kept: dict[int, Any] = {}
        """The last failed pod of an index that has no other."""

    def job(self) -> Any:
        return self.split()[0]

    def status(self) -> Any:
        primary, others = self.split()
        return WORKS.resource_of(primary, others).status

    def write(self, change: Any) -> None:
        uid = (
            self.there.get(("Job", "default", change.document["metadata"]["name"]), {}).get("metadata", {}).get("uid")
        )
        super().write(change)
        if change.verb == "delete":
            self._drop([each for each in self._pods() if annotation(each, "job") == uid])
            self._kept = {}

    def reconcile(self) -> None:
        """The operator and the Job controller act in turn; the operator first: no index is tried again at once."""
        while self._operate():
            self.act()
        self.act()
        while self._operate():
            self.act()

    def _operate(self) -> bool:
        primary, others = self.split()
        if equal(self.wanted, WORKS.resource_of(primary, others)):
            return False
        changes = WORKS.changes((primary, *others), self.wanted, FACTS)
        for each in changes:
            self.write(each)
        return bool(changes)

    def suspend(self, asked: bool) -> None:
        """As a queue does."""
        self.job()["spec"]["suspend"] = asked
        self.act()

    def act(self) -> None:
        job = self.job()
        active = [each for each in self._own() if not has_ended(each)]
        if job["spec"]["suspend"]:
            self._drop(active)
            return
        done, failed = (
            from_ranges(job["status"].get(each, ""), 99) for each in ("completedIndexes", "failedIndexes")
        )
        busy = {index_of(each) for each in active}
        free = [each for each in range(job["spec"]["completions"]) if each not in done | failed | busy]
        for index in free[: job["spec"]["parallelism"] - len(active)]:
            self._start(index)
        if len(done | failed) == job["spec"]["completions"]:
            job["status"]["conditions"] = [true("Failed" if failed else "Complete")]

    def end(self, index: int, how: str) -> None:
        """The pod of an index ``fails``, is ``evicted`` or is ``done``; nothing if none runs."""
        for each in self._own():
            if index_of(each) == index and not has_ended(each):
                self._end(each, index, how)

    def _end(self, it: Any, index: int, how: str) -> None:
        status, job = self.job()["status"], self.job()
        state = ended(0 if how == "done" else 1)
        it["status"] |= {"phase": "Succeeded" if how == "done" else "Failed"}
        it["status"]["containerStatuses"] = [{"name": "program", "state": state}]
        if how == "done":
            status["completedIndexes"] = to_ranges({*from_ranges(status.get("completedIndexes", ""), 99), index})
        if how == "evicted":
            it["status"]["conditions"] = [true("DisruptionTarget", "EvictionByEvictionAPI")]
        if how == "fails":
            self.failures[index] += 1
            if failures_before(it) >= job["spec"]["backoffLimitPerIndex"]:
                status["failedIndexes"] = to_ranges({*from_ranges(status.get("failedIndexes", ""), 99), index})
        if how != "done":
            self._kept[index] = it

    def _start(self, index: int) -> None:
        last, self.version = self._kept.pop(index, None), self.version + 1
        counts = {"number": 0, "ignored": 0}
        if last:
            evicted = bool(last["status"]["conditions"])
            counts["number"] = failures_before(last) + (not evicted)
            counts["ignored"] = int(annotation(last, IGNORED_FAILURES)) + evicted
        uid = self.job()["metadata"]["uid"]
        made = pod(index, "Running", state=RUNNING, uid=uid, **counts)
        made["metadata"] |= {"name": f"{index}-{self.version}", "uid": f"pod-{self.version}"}
        made["metadata"]["annotations"] |= {"job": uid, INDEX: str(index)}
        self.there[key_of(made)] = made

    def _own(self) -> list[Any]:
        return owned_by(self._pods(), self.job())

    def _pods(self) -> list[Any]:
        return [each for each in self.there.values() if each["kind"] == "Pod"]

    def _drop(self, pods: list[Any]) -> None:
        for each in pods:
            self.there.pop(key_of(each), None)
