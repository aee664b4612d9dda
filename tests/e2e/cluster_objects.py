"""Many suspended trainings of one operator: it makes each child once, loses no status, and starts again after a kill.

``python -m tests.e2e.cluster_objects DIRECTORY OBJECTS IDLE_S`` prints ``ObjectsRun`` as JSON; the tests do the same
with few objects.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from .cluster_operator import ClusterOperator, cluster_operator, has_ended, training
from .cluster_servings import wait_until
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster, kubernetes_cluster
from .process_node.handle import process_node

LIMIT_S = 1800
Start = Callable[[Cluster, Path], AbstractContextManager[ClusterOperator]]
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ObjectsRun:
    """``restart_s``: from the start after a kill until each has been looked at; ``works_s``: until a new training has
    ended. ``requests`` are those of a minute of rest, by verb and resource."""

    objects: int
    converged_s: float
    writes: int
    restart_s: float
    restart_cpu_s: float
    works_s: float
    idle_share: float
    """Of one core."""
    memory_mb: float
    requests: dict[str, float]


def keep_trainings(cluster: Cluster, place: Path, objects: int, idle_s: float, start: Start) -> ObjectsRun:
    """Raises AssertionError for a child that is there twice, and for a status that is not as it was."""
    namespace = cluster.namespace(f"objects-{objects}")
    for number in range(objects):
        cluster.api.create(training("true", namespace, f"t{number}", suspend=True))
    begin = time.monotonic()
    with start(cluster, place / "first") as first:
        cluster.api.wait_all("Training", namespace, lambda found: _suspended(found) == objects, seconds=LIMIT_S)
        cluster.api.wait_all("Job", namespace, lambda found: len(found) == objects, seconds=LIMIT_S)
        converged_s = time.monotonic() - begin
        _wait_quiet(first, objects)
        first.program.signal(signal.SIGKILL)
        first.wait()
    before, writes = _statuses(cluster, namespace), _writes(cluster, namespace)
    begin = time.monotonic()
    with start(cluster, place / "second") as second:
        _wait_quiet(second, objects)
        restart_s = time.monotonic() - begin
        process = second.program.process
        assert process
        restart_cpu_s = _cpu_s(process.pid)
        assert _writes(cluster, namespace) == writes, "the second operator has written what was as it should be"
        assert _statuses(cluster, namespace) == before
        cluster.api.create(training("true", namespace, "after"))
        assert condition(cluster.api.wait("Training", "after", namespace, has_ended), "Complete") == "True"
        works_s = time.monotonic() - begin
        used, asked = _cpu_s(process.pid), len(_requests(cluster))
        time.sleep(idle_s)
        used, requests = _cpu_s(process.pid) - used, _requests(cluster)[asked:]
        memory_mb = _memory_mb(process.pid)
    created = [each for each in writes if each in ("create jobs", "create persistentvolumeclaims")]
    assert len(created) == 2 * objects, "a child was made twice"
    counts = {name: requests.count(name) * 60 / idle_s for name in sorted({*requests})}
    return ObjectsRun(
        objects, converged_s, len(writes), restart_s, restart_cpu_s, works_s, used / idle_s, memory_mb, counts
    )


def _suspended(found: list[Object]) -> int:
    return sum(condition(each, "Suspended") == "True" for each in found)


def _wait_quiet(operator: ClusterOperator, objects: int) -> None:
    """Until it has looked at all objects and has nothing left to do."""
    steps = 'lykeion_reconcile_seconds_count{kind="Training",outcome="done"}'

    def is_quiet() -> bool:
        try:
            return operator.metric(steps) >= objects and operator.metric("lykeion_queue_keys") == 0
        except httpx.TransportError:  # it has lost its Lease on a busy machine: as the kubelet does
            if not operator.program.runs:
                operator.start()
            return False

    wait_until(is_quiet, operator.program.tail, LIMIT_S)


def _statuses(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """Of all trainings and Jobs, with their versions."""
    return {
        f"{kind} {each['metadata']['name']}": (each["metadata"]["resourceVersion"], each["status"])
        for kind in ("Training", "Job")
        for each in cluster.api.items(kind, namespace)
    }


def _ours(cluster: Cluster) -> list[Object]:
    return [each for each in cluster.audited() if each.get("userAgent", "").startswith("python-httpx2")]


def _writes(cluster: Cluster, namespace: str) -> list[str]:
    """The operators' writes in a namespace that succeeded: verb and resource."""
    return [
        f"{each['verb']} {each['objectRef']['resource']}"
        for each in _ours(cluster)
        if each.get("objectRef", {}).get("namespace") == namespace
        and each["verb"] not in ("get", "list", "watch")
        and each["responseStatus"]["code"] < 300
    ]


def _requests(cluster: Cluster) -> list[str]:
    """A watch counts when it ends."""
    return [
        f"{each['verb']} {each.get('objectRef', {}).get('resource') or each['requestURI']}" for each in _ours(cluster)
    ]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11:13]) / _TICKS


def _memory_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    place = Path(sys.argv[1])
    with kubernetes_cluster(place / "cluster") as cluster, process_node(cluster):
        run = keep_trainings(cluster, place, int(sys.argv[2]), float(sys.argv[3]), cluster_operator)
    print(json.dumps(asdict(run)))


if __name__ == "__main__":
    main()
