"""A ProcessNode tells the phases of the kubelet's own tests: TestPodPhase… in pkg/kubelet/kubelet_pods_test.go.

The tables are read from the source that Kubernetes is built from for the tests.
"""

import re
from collections.abc import Iterator
from typing import Any

from .control_plane.tools import module_files
from .process_node.pod_status import phase

Object = dict[str, Any]
TABLES, ROWS = 8, 70
STATES: dict[str, Object] = {  # the helpers of kubelet_pods_test.go
    "waitingState": {"state": {"waiting": {}}},
    "waitingStateWithLastTermination": {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 0}}},
    "waitingStateWithNonZeroTermination": {"state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": -1}}},
    "runningState": {"state": {"running": {}}},
    "startedState": {"state": {"running": {}}, "started": True},
    "stoppedState": {"state": {"terminated": {"exitCode": 0}}},
    "succeededState": {"state": {"terminated": {"exitCode": 0}}},
    "failedState": {"state": {"terminated": {"exitCode": -1}}},
}


def test_phases_are_those_of_the_kubelets_own_tables() -> None:
    source = (module_files("kubectl", "k8s.io/kubernetes") / "pkg/kubelet/kubelet_pods_test.go").read_text()
    tables = re.findall(r"^func TestPodPhaseWithRestart\w+\(.*?^}$", source, re.DOTALL | re.MULTILINE)
    rows = [row for table in tables for row in rows_of(table)]
    assert (len(tables), len(rows)) == (TABLES, ROWS)
    wrong = [(name, got, wanted) for name, got, wanted in rows if got != wanted]
    assert not wrong


def rows_of(table: str) -> Iterator[tuple[str, str, str]]:
    """What a row names itself, our phase, and the kubelet's."""
    head, _, body = table.partition("tests := ")
    spec = spec_of(head)
    for row in body.split("&v1.Pod{")[1:]:
        found = re.search(r"v1\.Pod(Pending|Running|Succeeded|Failed),\s*\"(.*?)\",?\s*}", row)
        assert found, row
        statuses = {name: STATES[helper] for helper, name in re.findall(r"(\w+State\w*)\(\"(\w+)\"\)", row)}
        flags = [word == "true" for word in re.findall(r"\b(true|false)\b", row[: found.start()])]
        terminal, initialized = flags if len(flags) == 2 else [False, False]
        if len(flags) == 1:
            terminal, initialized = (flags[0], False) if "test.podIsTerminal" in table else (False, flags[0])
        yield found[2], phase(spec, statuses, terminal=terminal, initialized=initialized), found[1]


def spec_of(head: str) -> Object:
    init, _, main = head.partition("\tContainers: []")
    policy = re.search(r"v1\.RestartPolicy(Always|Never|OnFailure)", main)
    assert policy, head
    return {"initContainers": [*containers(init)], "containers": [*containers(main)], "restartPolicy": policy[1]}


def containers(text: str) -> Iterator[Object]:
    for name, sidecar in re.findall(r"{Name: \"(\w+)\"(, RestartPolicy: &containerRestartPolicyAlways)?}", text):
        yield {"name": name, **({"restartPolicy": "Always"} if sidecar else {})}
