"""Works of all shapes, for tests of what they become and of a server that accepts it."""

from typing import Any

from msgspec import structs

from lykeion.control import Metadata, Owner, Resource
from lykeion.platform.kubernetes.objects.translation import ClusterFacts
from lykeion.platform.policies.artifacts.stages import models_command
from lykeion.platform.resources.plain_kinds.work import WORK, Role, WorkSpec
from lykeion.platform.resources.programs.failure_rule import FailureRule
from lykeion.platform.resources.programs.pod_template import NodeRequirement, PodTemplate, PodVolume, Toleration
from lykeion.platform.resources.programs.program import (
    AcceleratorRequest,
    EnvironmentVariable,
    KeyOf,
    Program,
    Requests,
    ValueSource,
)
from lykeion.platform.resources.programs.program_volume import VolumeMount
from lykeion.platform.resources.runs.batch_execution import for_each_item
from lykeion.platform.resources.settings.cluster_profile import AcceleratorProfile, ClusterProfileSpec, StorageProfile

T4 = AcceleratorProfile(
    name="t4",
    resource_name="nvidia.com/gpu",
    node_selector={"accelerator": "tesla-t4"},
    tolerations=(Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule"),),
)
PROFILE = ClusterProfileSpec(accelerators=(T4,), storage=StorageProfile(class_name="shared", shared=True))
FACTS = ClusterFacts(profile=PROFILE, image="registry.example.com/lykeion@sha256:0")
OWNER = Owner(api_version="lykeion.github.io/v1alpha1", kind="Training", name="shoes", uid="u-1")
SHELL = Program(command=("sh", "-c", "exit 0"), image="shop:v1")
RUN = (VolumeMount(volume="run", variable="LYKEION_RUN"),)
POD = PodTemplate(
    labels={"team": "search", "lykeion.github.io/name": "another"},
    annotations={"note": "x"},
    service_account_name="reader",
    image_pull_secrets=("pulls",),
    node_selector={"disk": "ssd"},
    node_affinity=(NodeRequirement(key="zone", operator="In", values=("a", "b")),),
    spread_over="topology.kubernetes.io/zone",
    tolerations=(Toleration(key="spot", value="yes", effect="NoExecute", toleration_seconds=0),),
    priority_class_name="low",
    shared_memory="1Gi",
    run_as_user=1000,
    fs_group=2000,
    volumes=(
        PodVolume(name="photos", mount_path="/photos", persistent_volume_claim="photos", read_only=True),
        PodVolume(name="scratch", mount_path="/scratch", empty_dir="5Gi"),
    ),
)
TOKEN = ValueSource(secret_key_ref=KeyOf(name="shop", key="token", optional=True))
RICH = Program(
    image="shop:v1",
    args=("--to=$(OUT)",),
    working_dir="/work",
    env=(
        EnvironmentVariable(name="OUT", value="$(LYKEION_RUN)/o"),
        EnvironmentVariable(name="T", value_from=TOKEN),
    ),
    resources=Requests(cpu="500m", memory="2Gi", accelerator=AcceleratorRequest(type="t4", count=2)),
    pod=POD,
)
RULES = (
    FailureRule(action="Retry", exit_codes=(3,)),
    FailureRule(action="Fail", exit_codes=(2, 3), reasons=("OOMKilled",)),
    FailureRule(action="Ignore", exit_codes=(75,), reasons=("CannotStart",)),
)


def spec(program: Program = SHELL, completions: int = 1, **fields: Any) -> WorkSpec:
    return WorkSpec(program=program, completions=completions, **fields)


def sample(asked: WorkSpec, namespace: str = "shop") -> Any:
    metadata = Metadata(name="shoes-run", namespace=namespace, owner_references=(OWNER,))
    return Resource(WORK, metadata, asked, WORK.status())


SAMPLES = {
    "one program": spec(retries=2, time_limit_seconds=60),
    "all that a program can ask for": spec(RICH, mounts=RUN),
    "a program of ours": models_command(RUN[0], "push", "$(LYKEION_RUN)", "shoes:v1"),
    "shards by number": spec(for_each_item(SHELL, 10_000), 10_000, parallelism=1000),
    "shards by item": spec(for_each_item(SHELL, 1000), 1000, values=("$(x) é\n" * 100,) * 1000),
    "shards that are left": spec(for_each_item(SHELL, 9), 9, done="0-3,7"),
    "processes that know one another": spec(
        SHELL, 1000, parallelism=1000, roles=(Role(name="worker", replicas=1000),)
    ),
    "rules": spec(on_failure=RULES * 6),
    "a queue": spec(structs.replace(SHELL, pod=PodTemplate(queue_name="night"))),
    "what cannot be done": spec(
        Program(command=("x",), image="x", resources=Requests(accelerator=AcceleratorRequest(type="a1")))
    ),
}
