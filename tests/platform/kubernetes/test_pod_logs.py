"""Which pod's log people mean who ask for that of a resource in a cluster."""

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.control import AnyResource, child_name
from lykeion.platform.kubernetes.contexts.pod_logs import newest_pod
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.runs.training import TRAINING, TrainingSpec

UID = "6a6f7f0e-0000-4000-8000-000000000001"


@pytest.fixture
def training() -> AnyResource:
    made = TRAINING.new("shoes", TrainingSpec(program=Program(command=("fit",))))
    return replace(made, metadata=structs.replace(made.metadata, uid=UID))


def pod(
    work: str, at: int, *, index: int | None = 0, owner_uid: str = UID, owner: str = "shoes", **state: Any
) -> Any:
    annotations = {} if index is None else {"batch.kubernetes.io/job-completion-index": str(index)}
    labels = {
        "lykeion.github.io/kind": "Work",
        "lykeion.github.io/name": work,
        "lykeion.github.io/owner": owner,
        "lykeion.github.io/owner-uid": owner_uid,
    }
    name = f"{work}-{at}"
    metadata = {"name": name, "uid": name, "labels": labels, "annotations": annotations}
    metadata["creationTimestamp"] = f"2026-11-01T12:00:{at:02}Z"
    return {"metadata": metadata, "status": {"containerStatuses": [{"state": state or {"running": {}}}]}}


def found(training: AnyResource, *pods: Any, index: int = 0, part: str = "") -> str | None:
    pod_ = newest_pod(training, index, part, pods)
    return pod_ and pod_["metadata"]["name"]


def test_it_is_that_of_its_own_program_also_when_others_have_run_since(training: AnyResource) -> None:
    program, publish = child_name(training, "program"), child_name(training, "publish")
    assert found(training, pod(program, 1), pod(publish, 2)) == f"{program}-1"
    assert found(training, pod(publish, 2)) == f"{publish}-2"


def test_of_several_attempts_it_is_the_newest_that_has_begun(training: AnyResource) -> None:
    program = child_name(training, "program")
    pods = [pod(program, 1), pod(program, 3), pod(program, 5, waiting={"reason": "ContainerCreating"})]
    assert found(training, *pods) == f"{program}-3"


def test_a_part_is_named_by_its_step_or_stage(training: AnyResource) -> None:
    program, publish = child_name(training, "program"), child_name(training, "publish")
    assert found(training, pod(program, 1), pod(publish, 2), part="publish") == f"{publish}-2"
    assert found(training, pod(program, 1), part="publish") is None


def test_a_step_of_a_run_may_be_the_program_of_the_resource_that_it_has_created(training: AnyResource) -> None:
    inner = child_name(training, "fit/resource")
    assert found(training, pod("x", 1, owner=inner, owner_uid="other"), part="fit") == "x-1"


def test_an_index_is_that_of_the_shard_and_of_replicas_the_place_by_age(training: AnyResource) -> None:
    program = child_name(training, "program")
    assert found(training, pod(program, 1, index=0), pod(program, 2, index=1), index=1) == f"{program}-2"
    replicas = [pod(program, 7, index=None), pod(program, 4, index=None)]
    assert found(training, *replicas, index=0) == f"{program}-4"
    assert found(training, *replicas, index=2) is None


def test_pods_of_others_are_not_shown(training: AnyResource) -> None:
    assert found(training, pod("x", 1, owner_uid="other", owner="other")) is None
