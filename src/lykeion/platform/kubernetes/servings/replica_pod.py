"""The pod of a replica: probes, draining, and the directories of the registry that it is given. Pure."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from lykeion.control import AnyResource
from lykeion.platform.kubernetes.objects import ClusterFacts
from lykeion.platform.kubernetes.pods import PodNeeds, literal, pod_template
from lykeion.platform.resources.plain_kinds import ReplicaArtifact, ReplicaGroup, ReplicaGroupSpec, ReplicaProbe
from lykeion.platform.resources.programs import Program

PORT = 8080
"""The value of ``$PORT``: each pod has an address of its own."""
PORT_NAME = "http"
ARTIFACTS_PATH = "/lykeion/artifacts"
GATEWAY_NETWORKS = "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 100.64.0.0/10 fc00::/7 35.191.0.0/16 130.211.0.0/22"
"""Private networks, and those of Google's load balancers: where a gateway's requests may come from."""

_ACCOUNT = ("serviceAccountName", "automountServiceAccountToken")
_Named: TypeAlias = Sequence[tuple[str, ReplicaArtifact]]
"""With the names of their volumes."""


def replica_pod(group: AnyResource, facts: ClusterFacts) -> dict[str, Any]:
    """Metadata and spec of a group's pods."""
    spec: ReplicaGroupSpec = group.spec
    artifacts = [(f"artifact-{index}", each) for index, each in enumerate(spec.artifacts)]
    needs = PodNeeds(
        env=[literal("PORT", str(PORT)), *_of_proxies(group, facts), *_paths(artifacts)],
        mounts=spec.mounts,
        volumes=[{"name": name, "emptyDir": {}} for name, _ in artifacts],
        volume_mounts=[_mount(name) for name, _ in artifacts],
        container={"ports": [{"name": PORT_NAME, "containerPort": PORT}], **_probes(spec), **_drain(spec)},
    )
    template = pod_template(group, spec.program, needs, facts)
    template["spec"]["terminationGracePeriodSeconds"] = max(1, spec.drain_seconds + spec.grace_period_seconds)
    return _with_artifacts(template, group, artifacts, facts) if artifacts else template


def _probes(spec: ReplicaGroupSpec) -> dict[str, Any]:
    """Until it is ready for the first time, no other probe runs; if that takes too long it is restarted."""
    ready, live = spec.readiness, spec.liveness
    tries = max(1, math.ceil(ready.startup_seconds / ready.period_seconds))
    return {
        "startupProbe": _probe(ready, tries),
        "readinessProbe": _probe(ready, ready.failure_threshold),
        **({"livenessProbe": _probe(live, live.failure_threshold)} if live else {}),
    }


def _probe(probe: ReplicaProbe, failures: int) -> dict[str, Any]:
    """Asked by the name of this machine, as on one: the pod's address is no name that a server knows."""
    named = [{"name": "Host", "value": "localhost"}]
    how = (
        {"httpGet": {"path": probe.path, "port": PORT_NAME, "httpHeaders": named}}
        if probe.path
        else {"tcpSocket": {"port": PORT_NAME}}
    )
    return {
        **how,
        "periodSeconds": probe.period_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "failureThreshold": failures,
    }


def _drain(spec: ReplicaGroupSpec) -> dict[str, Any]:
    """A pod that is to end gets no new requests as soon as all proxies know; SIGTERM comes after the pause."""
    seconds = spec.drain_seconds
    return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}} if seconds else {}


def _of_proxies(group: ReplicaGroup, facts: ClusterFacts) -> Iterable[dict[str, Any]]:
    """By which names ``lykeion serve`` is asked, and whose X-Forwarded headers it believes."""
    service = group.owner.name if group.owner else group.metadata.name
    inside = f".{group.metadata.namespace}"
    hosts = [f"{name}{end}" for name in (service, group.metadata.name) for end in ("", inside, f"{inside}.svc")]
    yield literal("LYKEION_ALLOWED_HOSTS", " ".join(dict.fromkeys(hosts)))
    if facts.profile.gateway_class_name:
        yield literal("LYKEION_PROXIES", GATEWAY_NETWORKS)


def _paths(artifacts: _Named) -> list[dict[str, Any]]:
    return [literal(each.variable, _directory(name)) for name, each in artifacts]


def _directory(name: str) -> str:
    return f"{ARTIFACTS_PATH}/{name}/content"


def _mount(name: str) -> dict[str, Any]:
    return {"name": name, "mountPath": f"{ARTIFACTS_PATH}/{name}"}


def _with_artifacts(
    template: dict[str, Any], group: ReplicaGroup, artifacts: _Named, facts: ClusterFacts
) -> dict[str, Any]:
    """Credentials of registries are mounted in the containers that fetch, not in the program's."""
    fetching = [each for name, artifact in artifacts for each in _fetching(name, artifact, group, facts)]
    pod, metadata, first = template["spec"], template["metadata"], fetching[0]
    secrets = [*pod.get("imagePullSecrets", []), *first["spec"].get("imagePullSecrets", [])]
    account = {name: first["spec"][name] for name in _ACCOUNT if name in first["spec"]}
    spec = {
        **pod,
        **account,
        **({"imagePullSecrets": _by_name(secrets)} if secrets else {}),
        "initContainers": [each["spec"]["containers"][0] for each in fetching],
        "volumes": _by_name([*pod["volumes"], *first["spec"]["volumes"]]),
    }
    return {"metadata": {**metadata, "labels": {**first["metadata"]["labels"], **metadata["labels"]}}, "spec": spec}


def _fetching(
    name: str, artifact: ReplicaArtifact, group: ReplicaGroup, facts: ClusterFacts
) -> Iterable[dict[str, Any]]:
    """Templates of the containers that bring a directory, and that keep it new if it is followed."""
    where = [artifact.artifact, _directory(name)]
    if artifact.follow_seconds is None:
        yield _fetch(f"fetch-{name}", ["pull", *where], name, group, facts)
        return
    yield _fetch(f"fetch-{name}", ["follow", *where, "--once"], name, group, facts)
    every = ["--every", str(artifact.follow_seconds)]
    yield _fetch(f"follow-{name}", ["follow", *where, *every], name, group, facts, restartPolicy="Always")


def _fetch(
    container: str, arguments: list[str], volume: str, group: ReplicaGroup, facts: ClusterFacts, **fields: Any
) -> dict[str, Any]:
    program = Program(command=("lykeion", "models"), args=(*arguments, "--quiet"))
    home = literal("LYKEION_HOME", f"{ARTIFACTS_PATH}/{volume}/home")  # files are linked, not copied, from its cache
    needs = PodNeeds(
        env=[home], uses_registry=True, volume_mounts=[_mount(volume)], container={"name": container, **fields}
    )
    return pod_template(group, program, needs, facts)


def _by_name(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({each["name"]: each for each in items}.values())
