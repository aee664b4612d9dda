"""Each process of a distributed program knows its role and all addresses."""

import json
from pathlib import Path

from lykeion.platform.local.processes.peer_addresses import peer_addresses
from lykeion.platform.policies.attempts.distributed import distributed_environment
from lykeion.platform.resources.plain_kinds.work import Role

ADDRESSES = ("a:1", "b:2", "c:3", "d:4")
ROLES = (Role(name="chief"), Role(name="worker", replicas=2), Role(name="evaluator"))


def test_tf_config_names_the_cluster_without_the_evaluator_and_the_task() -> None:
    second = distributed_environment(ROLES, ADDRESSES, 2)
    assert json.loads(second["TF_CONFIG"]) == {
        "cluster": {"chief": ["a:1"], "worker": ["b:2", "c:3"]},
        "task": {"type": "worker", "index": 1},
    }
    evaluator = distributed_environment(ROLES, ADDRESSES, 3)
    assert json.loads(evaluator["TF_CONFIG"])["task"] == {"type": "evaluator", "index": 0}


def test_the_first_process_coordinates() -> None:
    second = distributed_environment(ROLES, ADDRESSES, 2)
    expected = {
        "JAX_COORDINATOR_ADDRESS": "a:1",
        "JAX_NUM_PROCESSES": "4",
        "JAX_PROCESS_ID": "2",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "1",
        "WORLD_SIZE": "4",
        "RANK": "2",
    }
    assert {name: second[name] for name in expected} == expected


def test_an_attempt_keeps_its_addresses(tmp_path: Path) -> None:
    first = peer_addresses(tmp_path / "uid", 0, 3)
    assert len(set(first)) == 3
    assert peer_addresses(tmp_path / "uid", 0, 3) == first
    assert (tmp_path / "uid" / "peers-1.json").exists() is False
