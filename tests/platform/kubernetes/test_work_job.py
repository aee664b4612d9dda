"""The Kubernetes objects that a Work becomes."""

import json
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from lykeion.platform.kubernetes.objects.translation import SPEC_ANNOTATION, ClusterFacts
from lykeion.platform.kubernetes.pods.pod_spec import unsupported_pod
from lykeion.platform.kubernetes.works.work_job_set import work_objects
from lykeion.platform.kubernetes.works.work_record import RECORD
from lykeion.platform.kubernetes.works.work_refusals import refusal
from lykeion.platform.kubernetes.works.work_status import IGNORED, REFUSED
from lykeion.platform.kubernetes.works.work_translation import WORKS
from lykeion.platform.policies.artifacts.stages import models_command
from lykeion.platform.resources.plain_kinds.work import Role, WorkSpec
from lykeion.platform.resources.programs.failure_rule import FailureRule
from lykeion.platform.resources.programs.pod_template import PodTemplate, PodVolume
from lykeion.platform.resources.programs.program import (
    AcceleratorRequest,
    Program,
    Requests,
)
from lykeion.platform.resources.programs.program_volume import VolumeMount
from lykeion.platform.resources.runs.batch_execution import for_each_item
from lykeion.platform.resources.settings.cluster_profile import StorageProfile

from .work_samples import FACTS, PROFILE, RULES, SAMPLES, SHELL, T4, sample, spec

LABELS = {
    "app.kubernetes.io/managed-by": "lykeion",
    "lykeion.github.io/kind": "Work",
    "lykeion.github.io/name": "shoes-run",
    "lykeion.github.io/owner": "shoes",
    "lykeion.github.io/owner-uid": "u-1",
}


def made(asked: WorkSpec, facts: ClusterFacts = FACTS) -> list[dict[str, Any]]:
    return list(work_objects(sample(asked), facts))


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return container


def variables(job: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container_of(job)["env"]}


INDEX = {"fieldRef": {"fieldPath": "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}


def test_a_program_becomes_an_indexed_job_that_no_right_goes_with() -> None:
    (job,) = made(spec(retries=2, time_limit_seconds=60))
    annotations = job["metadata"].pop("annotations")
    assert list(annotations) == [SPEC_ANNOTATION]
    assert job == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "shoes-run",
            "namespace": "shop",
            "labels": LABELS,
            "ownerReferences": [
                {
                    "apiVersion": "lykeion.github.io/v1alpha1",
                    "kind": "Training",
                    "name": "shoes",
                    "uid": "u-1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": 1,
            "parallelism": 1,
            "suspend": False,
            "backoffLimitPerIndex": 2,
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "template": {
                "metadata": {
                    "labels": LABELS,
                    "annotations": {"kubectl.kubernetes.io/default-container": "program"},
                },
                "spec": {
                    "restartPolicy": "Never",
                    "activeDeadlineSeconds": 60,
                    "terminationGracePeriodSeconds": 30,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "fsGroup": 65532,
                        "fsGroupChangePolicy": "OnRootMismatch",
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "program",
                            "image": "shop:v1",
                            "command": ["sh", "-c", "exit 0"],
                            "env": [
                                {"name": "HOME", "value": "/tmp"},
                                {"name": "JOB_COMPLETION_INDEX", "valueFrom": INDEX},
                                {"name": "LYKEION_RESULT", "value": "/dev/termination-log"},
                            ],
                            "resources": {},
                            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                            "terminationMessagePolicy": "FallbackToLogsOnError",
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                    "volumes": [{"name": "tmp", "emptyDir": {}}],
                },
            },
        },
    }


def test_what_a_program_asks_for_is_in_the_words_of_the_cluster() -> None:
    (job,) = made(SAMPLES["all that a program can ask for"])
    template = job["spec"]["template"]
    container, inside = container_of(job), template["spec"]
    assert template["metadata"]["labels"] == {**LABELS, "team": "search"}
    assert template["metadata"]["annotations"]["note"] == "x"
    assert "command" not in container
    assert (container["args"], container["workingDir"]) == (["--to=$(OUT)"], "/work")
    amounts = {"cpu": "500m", "memory": "2Gi", "nvidia.com/gpu": "2"}
    assert container["resources"] == {"requests": amounts, "limits": amounts}
    assert list(variables(job))[-3:] == ["LYKEION_RESULT", "OUT", "T"]
    assert variables(job)["T"] == {"secretKeyRef": {"name": "shop", "key": "token", "optional": True}}
    assert variables(job)["LYKEION_RUN"] == "/lykeion/volumes/run"
    assert inside["serviceAccountName"] == "reader"
    assert inside["imagePullSecrets"] == [{"name": "pulls"}]
    assert inside["automountServiceAccountToken"] is False
    assert inside["nodeSelector"] == {"accelerator": "tesla-t4", "disk": "ssd"}
    assert inside["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Equal", "value": "yes", "effect": "NoExecute", "tolerationSeconds": 0},
    ]
    terms = inside["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert terms == {
        "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}]
    }
    assert inside["topologySpreadConstraints"][0]["topologyKey"] == "topology.kubernetes.io/zone"
    assert inside["priorityClassName"] == "low"
    assert inside["securityContext"]["runAsUser"] == 1000
    assert inside["securityContext"]["fsGroup"] == 2000
    assert inside["volumes"] == [
        {"name": "tmp", "emptyDir": {}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        {"name": "claim-run", "persistentVolumeClaim": {"claimName": "run"}},
        {"name": "own-photos", "persistentVolumeClaim": {"claimName": "photos"}},
        {"name": "own-scratch", "emptyDir": {"sizeLimit": "5Gi"}},
    ]
    assert container["volumeMounts"] == [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
        {"name": "claim-run", "mountPath": "/lykeion/volumes/run"},
        {"name": "own-photos", "mountPath": "/photos", "readOnly": True},
        {"name": "own-scratch", "mountPath": "/scratch"},
    ]


IDENTITY = {"iam.gke.io/gcp-service-account": "push@shop"}


def test_only_our_own_programs_get_the_credentials_of_registries() -> None:
    profile = structs.replace(PROFILE, identity=IDENTITY, registry_prefix="registry.example.com/shop")
    facts = replace(FACTS, profile=profile, registry_secret="registry", registry_account="lykeion-registry")
    mount = VolumeMount(volume="run", variable="LYKEION_RUN")
    ours, account = made(models_command(mount, "push", "$(LYKEION_RUN)", "shoes:v1"), facts)
    assert (account["kind"], account["metadata"]["name"]) == ("ServiceAccount", "lykeion-registry")
    assert account["metadata"]["annotations"] == IDENTITY
    inside = ours["spec"]["template"]["spec"]
    assert container_of(ours)["image"] == FACTS.image
    assert variables(ours)["DOCKER_CONFIG"] == "/lykeion/registry"
    assert variables(ours)["LYKEION_REGISTRY_PREFIX"] == "registry.example.com/shop"
    assert (inside["serviceAccountName"], inside["automountServiceAccountToken"]) == ("lykeion-registry", False)
    assert inside["imagePullSecrets"] == [{"name": "registry"}]
    items = [{"key": ".dockerconfigjson", "path": "config.json"}]
    assert inside["volumes"][1] == {
        "name": "registry",
        "secret": {"secretName": "registry", "optional": True, "items": items},
    }
    (theirs,) = made(spec(Program(command=("lykeion", "models", "push", "/x", "shoes:v1"))), facts)
    text = json.dumps(theirs["spec"])
    assert container_of(theirs)["image"] == FACTS.image
    assert 'registry"' not in text
    assert "DOCKER_CONFIG" not in text
    assert "lykeion-registry" not in text


def test_a_shard_is_known_by_its_index_or_by_its_item_in_a_config_map() -> None:
    (job,) = made(spec(for_each_item(SHELL, 3), 3, parallelism=9))
    assert job["spec"]["parallelism"] == 3
    assert variables(job) == {
        "HOME": "/tmp",
        "JOB_COMPLETION_INDEX": INDEX,
        "LYKEION_RESULT": "/dev/termination-log",
        "LYKEION_VALUE": "",
        "LYKEION_SHARD_FILE": "/lykeion/shard",
        "LYKEION_SHARD": "$(LYKEION_VALUE)",
        "LYKEION_SHARD_INDEX": "$(JOB_COMPLETION_INDEX)",
        "LYKEION_SHARD_COUNT": "3",
    }
    shard = {"name": "shard", "mountPath": "/lykeion/shard", "readOnly": True}
    assert container_of(job)["volumeMounts"][1] == {**shard, "subPath": "shard"}
    job, items = made(spec(for_each_item(SHELL, 2), 2, values=("a", "b $(c)")))
    assert (items["kind"], items["metadata"]["name"]) == ("ConfigMap", "shoes-run-items")
    assert items["data"] == {"0": "a", "1": "b $(c)"}
    assert items["immutable"] is True
    assert items["metadata"]["labels"] == LABELS
    assert container_of(job)["volumeMounts"][1] == {**shard, "subPathExpr": "$(JOB_COMPLETION_INDEX)"}
    assert not {"LYKEION_VALUE", "LYKEION_SHARD"} & set(variables(job))
    assert variables(job)["LYKEION_SHARD_INDEX"] == "$(JOB_COMPLETION_INDEX)"


def test_processes_of_one_role_know_one_another_by_names_that_last() -> None:
    job, service = made(spec(SHELL, 2, parallelism=2, roles=(Role(name="worker", replicas=2),), retries=3))
    assert (service["kind"], service["metadata"]["name"]) == ("Service", "peers-shoes-run")
    assert service["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"lykeion.github.io/kind": "Work", "lykeion.github.io/name": "shoes-run"},
        "ports": [{"name": "peers", "port": 29500}],
    }
    assert job["spec"]["template"]["spec"]["subdomain"] == "peers-shoes-run"
    assert job["spec"]["backoffLimit"] == 0
    assert not {"backoffLimitPerIndex", "podFailurePolicy"} & set(job["spec"])
    given = variables(job)
    peers = ["shoes-run-0.peers-shoes-run:29500", "shoes-run-1.peers-shoes-run:29500"]
    assert given["LYKEION_PEERS"] == ",".join(peers)
    assert given["RANK"] == given["JAX_PROCESS_ID"] == "$(JOB_COMPLETION_INDEX)"
    config = given["TF_CONFIG"].replace("$(JOB_COMPLETION_INDEX)", "1")
    assert json.loads(config) == {"cluster": {"worker": peers}, "task": {"type": "worker", "index": 1}}


ROLES = (Role(name="chief"), Role(name="worker", replicas=2))
WITH_JOB_SETS = replace(FACTS, served=frozenset({"jobset.x-k8s.io/v1alpha2"}))


def test_programs_of_several_roles_are_a_job_set_beside_a_job_that_never_starts() -> None:
    queued = structs.replace(SHELL, pod=PodTemplate(queue_name="night"))
    asked = spec(queued, 3, parallelism=3, roles=ROLES)
    job, job_set = made(asked, WITH_JOB_SETS)
    assert (job["spec"]["suspend"], job_set["spec"]["suspend"]) == (True, True)
    assert "kueue.x-k8s.io/queue-name" not in job["metadata"]["labels"]
    assert job_set["metadata"]["labels"] == {**LABELS, "kueue.x-k8s.io/queue-name": "night"}
    assert job_set["spec"]["failurePolicy"] == {"maxRestarts": 0}
    assert job_set["spec"]["network"] == {
        "enableDNSHostnames": True,
        "publishNotReadyAddresses": True,
        "subdomain": "peers-shoes-run",
    }
    chief, worker = job_set["spec"]["replicatedJobs"]
    assert [(each["name"], each["replicas"]) for each in (chief, worker)] == [("chief", 1), ("worker", 2)]
    assert {name: chief["template"]["spec"][name] for name in ("parallelism", "completions", "backoffLimit")} == {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 0,
    }
    given = variables(worker["template"])
    fields = "metadata.annotations['jobset.sigs.k8s.io/{}']"
    assert given["JOB_COMPLETION_INDEX"] == {"fieldRef": {"fieldPath": fields.format("job-global-index")}}
    assert given["LYKEION_ROLE_INDEX"] == {"fieldRef": {"fieldPath": fields.format("job-index")}}
    assert given["RANK"] == "$(JOB_COMPLETION_INDEX)"
    hosts = [f"shoes-run-{name}-0.peers-shoes-run:29500" for name in ("chief-0", "worker-0", "worker-1")]
    assert given["LYKEION_PEERS"] == ",".join(hosts)
    assert json.loads(given["TF_CONFIG"].replace("$(LYKEION_ROLE_INDEX)", "1")) == {
        "cluster": {"chief": hosts[:1], "worker": hosts[1:]},
        "task": {"type": "worker", "index": 1},
    }


def test_what_is_suspended_has_no_job_set() -> None:
    asked = spec(SHELL, 3, parallelism=3, roles=ROLES, suspend=True)
    assert [each["kind"] for each in made(asked, WITH_JOB_SETS)] == ["Job"]


@pytest.mark.parametrize(
    ("fields", "suspended", "queue"),
    [
        ({}, False, None),
        ({"suspend": True}, True, None),
        ({"done": "0"}, True, None),
        ({"program": structs.replace(SHELL, pod=PodTemplate(queue_name="night"))}, True, "night"),
        ({"program": structs.replace(SHELL, pod=PodTemplate(queue_name="night")), "suspend": True}, True, None),
    ],
)
def test_a_job_begins_suspended_where_something_comes_first(fields: Any, suspended: bool, queue: str | None) -> None:
    (job,) = made(spec(completions=2, **fields))
    assert job["spec"]["suspend"] is suspended
    assert job["metadata"]["labels"].get("kueue.x-k8s.io/queue-name") == queue
    shown = WORKS.resource_of({**job, "metadata": {**job["metadata"], "uid": "u", "resourceVersion": "1"}}, ())
    assert shown.spec.suspend is (suspended and queue is None)


def test_what_is_done_goes_with_the_job() -> None:
    (job,) = made(spec(completions=4, done="0-1"))
    assert json.loads(job["metadata"]["annotations"][RECORD])["succeeded"] == "0-1"


@pytest.mark.parametrize(
    ("rules", "policy"),
    [
        (
            RULES,
            [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {
                    "action": "FailIndex",
                    "onExitCodes": {"containerName": "program", "operator": "In", "values": [2, 137]},
                },
                {
                    "action": "Ignore",
                    "onExitCodes": {"containerName": "program", "operator": "In", "values": [75, 128]},
                },
            ],
        ),
        (
            (FailureRule(action="Retry", reasons=("Evicted",)),),
            [{"action": "Count", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}],
        ),
        (
            (FailureRule(action="Fail", reasons=("Lost",)),),
            [{"action": "FailIndex", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}],
        ),
    ],
)
def test_failure_rules_become_a_policy_in_which_the_first_that_matches_decides(rules: Any, policy: Any) -> None:
    (job,) = made(spec(on_failure=rules))
    assert job["spec"]["podFailurePolicy"]["rules"] == policy


def test_a_rule_that_a_cluster_cannot_follow_is_named() -> None:
    rules = (FailureRule(action="Fail", reasons=("TimeLimit", "Lost")),)
    (job,) = made(spec(on_failure=rules, time_limit_seconds=5))
    assert job["metadata"]["annotations"][IGNORED] == "onFailure[].reasons: TimeLimit"
    (job,) = made(spec(on_failure=rules))
    assert IGNORED not in job["metadata"]["annotations"]


UNSHARED = replace(FACTS, profile=structs.replace(PROFILE, storage=StorageProfile()))
MOUNT = (VolumeMount(volume="run", variable="LYKEION_RUN"),)
GPU = Program(command=("x",), image="x", resources=Requests(accelerator=AcceleratorRequest(type="a100")))


@pytest.mark.parametrize(
    ("asked", "facts", "words"),
    [
        (spec(GPU), FACTS, "the cluster's profile has no accelerator a100; it has t4"),
        (spec(Program(command=("x",))), replace(FACTS, image=""), "the program has no image"),
        (spec(completions=2, parallelism=2, mounts=MOUNT), UNSHARED, "2 pods at a time cannot mount volume run"),
        (spec(for_each_item(Program(command=("x", "$(LYKEION_SHARD)")), 1), values=("a",)), FACTS, "args names $("),
        (spec(for_each_item(Program(command=("x",), args=("$(LYKEION_VALUE)",)), 1), values=("a",)), FACTS, "args"),
        (spec(completions=300, values=("é" * 4000,) * 300), FACTS, "the items have more than 1000000 bytes"),
        (spec(roles=(Role(name="chief"), Role(name="ps")), completions=2), FACTS, "need JobSet"),
    ],
)
def test_what_a_cluster_cannot_do_is_said_before_anything_runs(asked: Any, facts: Any, words: str) -> None:
    words = words.replace("args names $(", "command names $(LYKEION_SHARD), which a cluster does not know")
    assert words in refusal(sample(asked), facts)
    job = made(asked, facts)[0]
    assert job["spec"]["suspend"] is True
    assert words in job["metadata"]["annotations"][REFUSED]


@pytest.mark.parametrize(
    "asked",
    [
        spec(completions=2, parallelism=1, mounts=MOUNT),
        spec(for_each_item(Program(command=("x", "$$(LYKEION_SHARD) $(LYKEION_SHARD_INDEX)")), 1), values=("a",)),
        spec(for_each_item(Program(command=("x", "$(LYKEION_SHARD)")), 1)),
        spec(structs.replace(GPU, resources=Requests(accelerator=AcceleratorRequest(type="t4")))),
    ],
)
def test_what_it_can_do_is_not_refused(asked: WorkSpec) -> None:
    assert refusal(sample(asked), UNSHARED) == ""


def test_an_accelerator_is_found_by_the_beginning_of_its_name() -> None:
    variant = structs.replace(T4, name="a100-sxm4-80gb")
    facts = replace(FACTS, profile=structs.replace(PROFILE, accelerators=(T4, variant)))
    assert not unsupported_pod(GPU, facts)
    assert unsupported_pod(GPU, FACTS)


def test_files_of_an_image_are_mounted_where_the_server_keeps_such_volumes_and_refused_elsewhere() -> None:
    volume = PodVolume(name="model", mount_path="/model", image="registry.example.com/shoes-files:v1")
    asked = spec(Program(command=("x",), pod=PodTemplate(volumes=(volume,))))
    said = refusal(sample(asked), replace(FACTS, version=(1, 34)))
    assert "volume model is an image, which the API server of this Kubernetes 1.34 drops" in said
    facts = replace(FACTS, image_volumes=True)
    assert refusal(sample(asked), facts) == ""
    pod = made(asked, facts)[0]["spec"]["template"]["spec"]
    assert {"name": "own-model", "image": {"reference": volume.image}} in pod["volumes"]
    assert {"name": "own-model", "mountPath": "/model", "readOnly": True} in pod["containers"][0]["volumeMounts"]
