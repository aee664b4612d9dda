"""What a ProcessNode promises, from the documentation of Kubernetes; each table names its page."""

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster
from .pod_documents import (
    created,
    deleted,
    deployment,
    ended,
    has_ended,
    job,
    main_status,
    pod,
    runs,
    service,
    shell,
    terminated,
    waiting_reason,
    web_server,
)


@pytest.mark.parametrize(
    ("script", "phase", "code", "reason"),
    [
        ("exit 0", "Succeeded", 0, "Completed"),
        ("exit 3", "Failed", 3, "Error"),
        ("no-such-program", "Failed", 127, "Error"),
    ],
)
def test_a_pod_ends_with_its_program(
    cluster: Cluster, namespace: str, script: str, phase: str, code: int, reason: str
) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase"""
    status = ended(cluster, namespace, pod("p", script))
    end = terminated(status)
    assert (status["phase"], end["exitCode"], end["reason"]) == (phase, code, reason)


def test_an_indexed_job_gives_each_pod_its_value_of_a_config_map(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode and
    https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath-expanded-environment"""
    data = {"0": "left", "1": "right"}
    cluster.api.create(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "shards", "namespace": namespace},
            "data": data,
        }
    )
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    container = {
        **shell("cat /lykeion/shard > $RESULT"),
        "terminationMessagePath": "/lykeion/result",
        "env": [
            {"name": "INDEX", "valueFrom": {"fieldRef": {"fieldPath": index}}},
            {"name": "RESULT", "value": "/lykeion/result"},
        ],
        "volumeMounts": [{"name": "shards", "mountPath": "/lykeion/shard", "subPathExpr": "$(INDEX)"}],
    }
    template = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "shards", "configMap": {"name": "shards"}}],
    }
    cluster.api.create(job("both", namespace, template, completions=2, parallelism=2, completionMode="Indexed"))
    cluster.api.wait("Job", "both", namespace, lambda it: condition(it, "Complete") == "True")
    pods = cluster.api.items("Pod", namespace)
    said = {it["status"]["containerStatuses"][0]["state"]["terminated"]["message"] for it in pods}
    assert said == {"left", "right"}


def test_a_deployment_rolls_two_replicas_that_listen_on_the_same_port(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment"""

    def rolled(it: Object) -> bool:
        status = it.get("status", {})
        counts = [status.get(key, 0) for key in ("updatedReplicas", "readyReplicas", "replicas")]
        return counts == [2, 2, 2] and status["observedGeneration"] == it["metadata"]["generation"]

    for version in ("one", "two"):
        cluster.api.apply(deployment("web", namespace, web_server(version), 2))
        cluster.api.wait("Deployment", "web", namespace, rolled)
    pods = [it for it in cluster.api.items("Pod", namespace) if "deletionTimestamp" not in it["metadata"]]
    assert [httpx.get(f"http://{it['status']['podIP']}:8000").text for it in pods] == ["two", "two"]


def test_kubectl_shows_what_a_container_said(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/"""
    ended(cluster, namespace, pod("p", "echo hello; echo there >&2"))
    assert cluster.kubectl("logs", "p", "-n", namespace) == "hello\nthere\n"


@pytest.mark.parametrize(
    ("script", "code", "phase"),
    [
        ("trap 'exit 0' TERM; touch ready; while true; do sleep .1; done", 0, "Succeeded"),
        ("trap 'exit 9' TERM; touch ready; while true; do sleep .1; done", 9, "Failed"),
        ("trap '' TERM; touch ready; while true; do sleep .1; done", 137, "Failed"),
        ("touch ready; sleep 100", 137, "Failed"),  # process 1 takes no SIGTERM without a handler
    ],
)
def test_a_deleted_pod_gets_its_grace_period_and_is_then_gone(
    cluster: Cluster, namespace: str, script: str, code: int, phase: str
) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination"""
    probe = {"exec": {"command": ["test", "-e", "/ready"]}, "periodSeconds": 1}
    created(cluster, namespace, pod("p", "cd /", script, container={"readinessProbe": probe}))
    cluster.api.wait("Pod", "p", namespace, lambda it: condition(it, "Ready") == "True")
    last = deleted(cluster, namespace, "p", gracePeriodSeconds=2)["status"]
    assert (terminated(last)["exitCode"], last["phase"]) == (code, phase)


def test_a_pod_finds_services_and_pods_by_name(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/"""
    cluster.api.create(service("web", namespace, 80, 8000))
    cluster.api.create(service("pods", namespace, 80, 8000, selector={"app": "web"}, clusterIP="None"))
    server = pod("server", container=web_server("here"), hostname="first", subdomain="pods")
    server["metadata"]["labels"] = {"app": "web"}
    created(cluster, namespace, server)
    cluster.api.wait("Pod", "server", namespace, lambda it: condition(it, "Ready") == "True")
    names = ["web", f"web.{namespace}.svc.cluster.local", "pods:8000", f"first.pods.{namespace}:8000"]
    script = [f"until curl -sf http://{name}; do sleep .1; done" for name in names]
    assert ended(cluster, namespace, pod("client", *script))["phase"] == "Succeeded"
    assert cluster.api.logs("client", namespace) == "here" * len(names)


def test_a_program_reaches_the_api_server_with_its_accounts_token(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api"""
    place = "/var/run/secrets/kubernetes.io/serviceaccount"
    ask = f'curl -s --cacert {place}/ca.crt -H "Authorization: Bearer $(cat {place}/token)"'
    url = "https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT/api/v1/namespaces/$(cat $P/namespace)/secrets"
    ended(cluster, namespace, pod("p", f"P={place}", f"{ask} {url}"))
    said = cluster.api.logs("p", namespace)
    assert f'system:serviceaccount:{namespace}:default\\" cannot list resource' in said


LAST_80_LINES = "".join(f"{n}\n" for n in range(921, 1001))
EMPTY = [{"name": "scratch", "emptyDir": {}}]
SCRATCH = [{"name": "scratch", "mountPath": "/scratch"}]


def test_init_containers_run_one_after_another_before_the_containers(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#understanding-init-containers"""
    init = [
        shell(f"sleep .2; echo {name} >> /scratch/order", name=name, volumeMounts=SCRATCH)
        for name in ("first", "second")
    ]
    document = pod("p", "cat /scratch/order", initContainers=init, volumes=EMPTY, container={"volumeMounts": SCRATCH})
    status = ended(cluster, namespace, document)
    assert cluster.api.logs("p", namespace) == "first\nsecond\n"
    assert [it["ready"] for it in status["initContainerStatuses"]] == [True, True]
    assert condition({"status": status}, "Initialized") == "True"


@pytest.mark.parametrize(("policy", "phase", "restarts"), [("Never", "Failed", 0), ("OnFailure", "Succeeded", 1)])
def test_an_init_container_that_fails_is_restarted_or_fails_its_pod(
    cluster: Cluster, namespace: str, policy: str, phase: str, restarts: int
) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#detailed-behavior"""
    first = shell("mkdir /scratch/was-here && exit 1; true", name="first", volumeMounts=SCRATCH)
    first["command"][2] = "test -e /scratch/once || { touch /scratch/once; exit 1; }"
    status = ended(cluster, namespace, pod("p", "true", initContainers=[first], volumes=EMPTY, restartPolicy=policy))
    assert (status["phase"], status["initContainerStatuses"][0]["restartCount"]) == (phase, restarts)
    if phase == "Failed":
        assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}
        assert condition({"status": status}, "Initialized") == "False"


def test_a_sidecar_starts_before_the_containers_and_is_ended_after_them(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"""
    sidecar = shell(
        "end() { echo ended | tee /scratch/log > /dev/termination-log; exit 0; }; trap end TERM",
        "sleep .3; touch /scratch/up",
        "while true; do sleep .1; done",
        name="sidecar",
        restartPolicy="Always",
        volumeMounts=SCRATCH,
        startupProbe={"exec": {"command": ["test", "-e", "/scratch/up"]}, "periodSeconds": 1},
    )
    main = {"volumeMounts": SCRATCH}
    status = ended(
        cluster,
        namespace,
        pod(
            "p",
            "test -e /scratch/up && ! test -e /scratch/log",
            initContainers=[sidecar],
            volumes=EMPTY,
            container=main,
        ),
    )
    assert (status["phase"], terminated(status)["exitCode"]) == ("Succeeded", 0)
    assert terminated(status, "sidecar")["message"] == "ended\n"


def test_a_container_is_restarted_until_it_succeeds(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy"""
    script = "echo x >> /scratch/tries; test $(wc -l < /scratch/tries) = 3"
    document = pod("p", script, restartPolicy="OnFailure", volumes=EMPTY, container={"volumeMounts": SCRATCH})
    status = ended(cluster, namespace, document)
    assert (status["phase"], main_status({"status": status})["restartCount"]) == ("Succeeded", 2)
    assert main_status({"status": status})["lastState"]["terminated"]["exitCode"] == 1


def test_a_container_that_crashes_again_and_again_backs_off(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts"""
    created(cluster, namespace, pod("p", "echo no; exit 7", restartPolicy="Always"))
    it = cluster.api.wait("Pod", "p", namespace, lambda it: waiting_reason(it) == "CrashLoopBackOff")
    assert it["status"]["phase"] == "Running"
    assert main_status(it)["lastState"]["terminated"]["exitCode"] == 7
    assert main_status(it)["restartCount"] >= 1
    assert cluster.api.logs("p", namespace, previous=True) == "no\n"


@pytest.mark.parametrize(
    ("script", "fields", "message"),
    [
        ("echo -n short > /dev/termination-log", {}, "short"),
        ("echo -n there > /out/result; false", {"terminationMessagePath": "/out/result"}, "there"),
        ("head -c 5000 /dev/zero | tr '\\0' x > /dev/termination-log", {}, "x" * 4096),
        ("echo from the log; false", {"terminationMessagePolicy": "FallbackToLogsOnError"}, "from the log\n"),
        ("echo from the log", {"terminationMessagePolicy": "FallbackToLogsOnError"}, None),
        ("seq 1000; false", {"terminationMessagePolicy": "FallbackToLogsOnError"}, LAST_80_LINES),
    ],
)
def test_a_container_leaves_a_message(
    cluster: Cluster, namespace: str, script: str, fields: Object, message: str | None
) -> None:
    """https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/"""
    status = ended(cluster, namespace, pod("p", script, container=fields))
    assert terminated(status).get("message") == message


def test_a_program_that_is_not_there_is_a_start_error(cluster: Cluster, namespace: str) -> None:
    """containerd's words, as in https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/"""
    status = ended(cluster, namespace, pod("p", container={"command": ["/no/such/program"]}))
    assert (terminated(status)["exitCode"], terminated(status)["reason"]) == (128, "StartError")


def field(path: str) -> Object:
    return {"valueFrom": {"fieldRef": {"fieldPath": path}}}


def test_variables_come_from_values_fields_maps_and_secrets(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/ and
    https://kubernetes.io/docs/concepts/workloads/pods/downward-api/#available-fields"""
    write(cluster, namespace, "ConfigMap", "map", data={"a": "from map"})
    write(cluster, namespace, "Secret", "secret", stringData={"b": "from secret"})
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "250m", "memory": "32Mi"}}
    env: dict[str, tuple[Object, str]] = {
        "PLAIN": ({"value": "v"}, "v"),
        "BUILT": ({"value": "$(PLAIN)-$$(PLAIN)-$(NOPE)"}, "v-$(PLAIN)-$(NOPE)"),
        "NAME": (field("metadata.name"), "p"),
        "NAMESPACE": (field("metadata.namespace"), namespace),
        "LABEL": (field("metadata.labels['x']"), "label"),
        "NODE": (field("spec.nodeName"), "node-0"),
        "ACCOUNT": (field("spec.serviceAccountName"), "default"),
        "HOST": (field("status.hostIP"), cluster.machine),
        "MAP": ({"valueFrom": {"configMapKeyRef": {"name": "map", "key": "a"}}}, "from map"),
        "SECRET": ({"valueFrom": {"secretKeyRef": {"name": "secret", "key": "b"}}}, "from secret"),
        "NONE": ({"valueFrom": {"secretKeyRef": {"name": "no", "key": "b", "optional": True}}}, ""),
        "CPU": ({"valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}}, "250"),
        "CORES": ({"valueFrom": {"resourceFieldRef": {"resource": "requests.cpu"}}}, "1"),
        "MEMORY": ({"valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}}, "64"),
    }
    container = {
        "env": [{"name": name, **given} for name, (given, _) in env.items()],
        "envFrom": [{"prefix": "ALL_", "configMapRef": {"name": "map"}}],
        "resources": resources,
        "args": ["$(PLAIN)"],
    }
    names = ["ALL_a", *env]
    script = [*(f'echo "{name}=${name}"' for name in names), 'echo "IP=$IP"', 'echo "$0"']
    document = pod("p", *script, container=container)
    document["metadata"]["labels"] = {"x": "label"}
    container["env"].append({"name": "IP", **field("status.podIP")})
    status = ended(cluster, namespace, document)
    wanted = {"ALL_a": "from map", **{name: value for name, (_, value) in env.items()}, "IP": status["podIP"]}
    assert cluster.api.logs("p", namespace) == "".join(f"{name}={value}\n" for name, value in wanted.items()) + "v\n"


def write(cluster: Cluster, namespace: str, kind: str, name: str, **content: Any) -> None:
    metadata = {"name": name, "namespace": namespace}
    cluster.api.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata, **content})


def test_volumes_have_the_files_and_modes_that_they_name(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/storage/volumes/ and .../projected-volumes/"""
    write(cluster, namespace, "ConfigMap", "map", data={"a": "A", "b": "B"})
    write(cluster, namespace, "Secret", "secret", stringData={"s": "S"})
    projected = [
        {"configMap": {"name": "map", "items": [{"key": "a", "path": "in/a"}]}},
        {"secret": {"name": "secret"}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"serviceAccountToken": {"path": "token", "audience": "registry", "expirationSeconds": 600}},
    ]
    sources: dict[str, Object] = {
        "map": {"configMap": {"name": "map", "defaultMode": 0o440}},
        "item": {"configMap": {"name": "map", "items": [{"key": "b", "path": "x/y", "mode": 0o400}]}},
        "secret": {"secret": {"secretName": "secret"}},
        "absent": {"secret": {"secretName": "no", "optional": True}},
        "all": {"projected": {"sources": projected}},
    }
    mounts = [{"name": name, "mountPath": f"/v/{name}"} for name in sources]
    script = [
        "cd /v; cat map/a map/b item/x/y secret/s all/in/a all/s all/labels; echo",
        "stat -Lc %a map/a item/x/y secret/s; ls absent | wc -l",
        "touch map/new 2>&1 | grep -o Read-only",
        'cut -d. -f2 all/token | tr _- /+ | base64 -d 2>/dev/null | grep -o \'"aud":\\["registry"\\]\'',
    ]
    volumes = [{"name": name, **source} for name, source in sources.items()]
    document = pod("p", *script, volumes=volumes, container={"volumeMounts": mounts})
    document["metadata"]["labels"] = {"x": "1"}
    ended(cluster, namespace, document)
    said = cluster.api.logs("p", namespace).splitlines()
    assert said == ["ABBSAS" + 'x="1"', "440", "400", "644", "0", "Read-only", '"aud":["registry"]']


def test_a_changed_config_map_reaches_a_running_pod(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/configuration/configmap/#mounted-configmaps-are-updated-automatically"""
    write(cluster, namespace, "ConfigMap", "map", data={"a": "old"})
    volumes = [{"name": "map", "configMap": {"name": "map"}}]
    script = "until test $(cat /map/a) = new; do sleep .1; done"
    mounts = [{"name": "map", "mountPath": "/map"}]
    created(cluster, namespace, pod("p", script, volumes=volumes, container={"volumeMounts": mounts}))
    cluster.api.wait("Pod", "p", namespace, runs)
    write(cluster, namespace, "ConfigMap", "map", data={"a": "new"})
    cluster.api.wait("Pod", "p", namespace, has_ended)


def test_a_missing_key_holds_a_container_until_it_is_there(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/tasks/configure-pod-container/configure-pod-configmap/#restrictions"""
    env = [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "a"}}}]
    write(cluster, namespace, "ConfigMap", "map", data={"b": "B"})
    created(cluster, namespace, pod("p", "true", container={"env": env}))
    it = cluster.api.wait("Pod", "p", namespace, lambda it: waiting_reason(it) == "CreateContainerConfigError")
    message = main_status(it)["state"]["waiting"]["message"]
    assert message == f"couldn't find key a in ConfigMap {namespace}/map"
    assert it["status"]["phase"] == "Pending"
    write(cluster, namespace, "ConfigMap", "map", data={"a": "A"})
    cluster.api.wait("Pod", "p", namespace, has_ended)


def test_a_volume_whose_origin_is_missing_is_an_event_and_holds_the_pod(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/"""
    created(cluster, namespace, pod("p", "true", volumes=[{"name": "v", "configMap": {"name": "map"}}]))
    events = cluster.api.wait_all("Event", namespace, lambda them: any(it["reason"] == "FailedMount" for it in them))
    messages = {it["message"] for it in events if it["reason"] == "FailedMount"}
    assert messages == {'MountVolume.SetUp failed for volume "v" : configmap "map" not found'}
    cluster.api.wait("Pod", "p", namespace, lambda it: waiting_reason(it) == "ContainerCreating")
    write(cluster, namespace, "ConfigMap", "map", data={})
    cluster.api.wait("Pod", "p", namespace, has_ended)


def test_an_image_that_cannot_be_pulled_backs_off(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/containers/images/#imagepullbackoff"""
    document = pod("p", container={"image": "layout.local/none:1"})
    created(cluster, namespace, document)
    it = cluster.api.wait("Pod", "p", namespace, lambda it: waiting_reason(it) == "ImagePullBackOff")
    assert it["status"]["phase"] == "Pending"
    last = deleted(cluster, namespace, "p")["status"]  # as TerminatePod in pkg/kubelet/status/status_manager.go
    end = terminated(last)
    assert (last["phase"], end["exitCode"], end["reason"]) == ("Failed", 137, "ContainerStatusUnknown")


def test_a_startup_probe_holds_readiness_and_a_liveness_probe_restarts(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"""

    def exists(path: str, **fields: int) -> Object:
        return {"exec": {"command": ["test", "-e", path]}, "periodSeconds": 1, **fields}

    container = {
        "volumeMounts": SCRATCH,
        "startupProbe": exists("/scratch/started"),
        "readinessProbe": exists("/scratch/ready", failureThreshold=1),
        "livenessProbe": exists("/scratch/alive", failureThreshold=1),
    }
    script = "trap 'exit 0' TERM; touch /scratch/alive; while true; do sleep .1; done"
    document = pod("p", script, restartPolicy="Always", volumes=EMPTY, container=container)
    created(cluster, namespace, document)

    def inside(command: str) -> None:
        path = cluster.place / "nodes/node-0/pods" / it["metadata"]["uid"] / "volumes/scratch"
        {"touch": lambda at: at.touch(), "rm": lambda at: at.unlink()}[command.split()[0]](path / command.split()[1])

    it = cluster.api.wait("Pod", "p", namespace, runs)
    assert (main_status(it)["started"], main_status(it)["ready"]) == (False, False)
    inside("touch started")
    it = cluster.api.wait("Pod", "p", namespace, lambda it: main_status(it)["started"])
    assert condition(it, "Ready") == "False"
    inside("touch ready")
    cluster.api.wait("Pod", "p", namespace, lambda it: condition(it, "Ready") == "True")
    inside("rm ready")
    cluster.api.wait("Pod", "p", namespace, lambda it: condition(it, "Ready") == "False")
    inside("rm alive")
    it = cluster.api.wait("Pod", "p", namespace, lambda it: main_status(it)["restartCount"] == 1)
    assert main_status(it)["lastState"]["terminated"]["exitCode"] == 0


def test_a_hook_runs_before_the_signal(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#container-hooks"""
    hook = {"exec": {"command": ["sh", "-c", "echo -n hook, >> /dev/termination-log"]}}
    script = "trap 'echo -n signal >> /dev/termination-log; exit 0' TERM; while true; do sleep .1; done"
    created(cluster, namespace, pod("p", script, container={"lifecycle": {"preStop": hook}}))
    cluster.api.wait("Pod", "p", namespace, runs)
    assert terminated(deleted(cluster, namespace, "p")["status"])["message"] == "hook,signal"


def test_a_pod_that_is_active_too_long_fails(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#detailed-behavior: activeDeadlineSeconds"""
    script = "trap 'exit 0' TERM; while true; do sleep .1; done"
    status = ended(cluster, namespace, pod("p", script, activeDeadlineSeconds=1))
    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")


def test_an_evicted_pod_of_a_job_is_run_again(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/"""
    script = "trap 'exit 1' TERM; if test -e /claim/go; then exit 0; fi; while true; do sleep .1; done"
    claim = {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    write(cluster, namespace, "PersistentVolumeClaim", "claim", spec=spec)
    container = shell(script, volumeMounts=[{"name": "claim", "mountPath": "/claim"}])
    template = {
        "restartPolicy": "Never", "containers": [container], "volumes": [claim], "terminationGracePeriodSeconds": 1,
    }  # fmt: skip
    cluster.api.create(job("j", namespace, template, backoffLimit=0, podFailurePolicy=IGNORE_DISRUPTION))
    (first,) = cluster.api.wait_all("Pod", namespace, lambda them: len(them) == 1 and runs(them[0]))
    place = cluster.api.wait("PersistentVolumeClaim", "claim", namespace, lambda it: it["spec"].get("volumeName"))
    volume = cluster.api.get("PersistentVolume", place["spec"]["volumeName"])
    (Path(volume["spec"]["hostPath"]["path"]) / "go").touch()
    cluster.api.evict(first["metadata"]["name"], namespace)
    cluster.api.wait("Job", "j", namespace, lambda it: condition(it, "Complete") == "True")
    cluster.api.delete("Job", "j", namespace)
    cluster.api.delete("PersistentVolumeClaim", "claim", namespace)
    cluster.api.wait_gone("PersistentVolume", volume["metadata"]["name"])
    assert not Path(volume["spec"]["hostPath"]["path"]).exists()


IGNORE_DISRUPTION = {
    "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
}


def test_a_job_counts_failures_of_each_index_and_gives_one_up_by_its_exit_code(
    cluster: Cluster, namespace: str
) -> None:
    """https://kubernetes.io/docs/tasks/job/pod-failure-policy/, "Pod failure policy with per-index retries"."""
    script = "case $JOB_COMPLETION_INDEX in 0) exit 0;; 1) exit 1;; 2) exit 42;; esac"
    template = {"restartPolicy": "Never", "containers": [shell(script)]}
    rules = [{"action": "FailIndex", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}]
    per_index = {"completionMode": "Indexed", "backoffLimitPerIndex": 1, "podFailurePolicy": {"rules": rules}}
    cluster.api.create(job("j", namespace, template, completions=3, parallelism=3, **per_index))
    it = cluster.api.wait("Job", "j", namespace, lambda it: condition(it, "Failed") == "True", seconds=90)
    status = it["status"]
    assert (status["completedIndexes"], status["failedIndexes"], status["failed"]) == ("0", "1,2", 3)


def test_a_suspended_job_ends_its_pods_and_a_resumed_one_starts_them(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/workloads/controllers/job/#suspending-a-job"""
    container = shell("trap 'exit 1' TERM; while true; do sleep .1; done")
    template = {"restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 1}
    cluster.api.create(job("j", namespace, template, parallelism=2, completions=2))
    for suspended in (False, True, False):
        cluster.api.patch("Job", "j", namespace, {"spec": {"suspend": suspended}})
        count = 0 if suspended else 2
        cluster.api.wait_all(
            "Pod", namespace, lambda them, count=count: len([*filter(runs, them)]) == count == len(them)
        )
    cluster.api.delete("Job", "j", namespace)
    cluster.api.wait_all("Pod", namespace, lambda them: not them)


@pytest.mark.parametrize(
    ("security", "said"),
    [
        ({"runAsUser": 65532, "runAsGroup": 65531}, "65532 65531\n"),
        ({"runAsUser": 65532, "fsGroup": 1234}, "65532 0\n"),
    ],
)
def test_a_container_runs_as_the_user_that_it_names(
    cluster: Cluster, namespace: str, security: Object, said: str
) -> None:
    """https://kubernetes.io/docs/tasks/configure-pod-container/security-context/"""
    script = ["echo $(id -u) $(id -g)", "python -c 'import lykeion.core'"]
    if "fsGroup" in security:
        script.append("touch /scratch/mine && test $(stat -c %g /scratch/mine) = 1234")
    document = pod(
        "p", "set -e", *script, securityContext=security, volumes=EMPTY, container={"volumeMounts": SCRATCH}
    )
    status = ended(cluster, namespace, document)
    assert (status["phase"], cluster.api.logs("p", namespace)) == ("Succeeded", said)


def test_a_container_that_may_not_be_root_or_write_is_held_to_it(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    created(cluster, namespace, pod("root", "true", securityContext={"runAsNonRoot": True}))
    it = cluster.api.wait("Pod", "root", namespace, lambda it: waiting_reason(it) == "CreateContainerConfigError")
    assert "runAsNonRoot" in main_status(it)["state"]["waiting"]["message"]
    container = {"securityContext": {"readOnlyRootFilesystem": True}}
    ended(cluster, namespace, pod("p", "touch /x 2>&1 | grep -o Read-only", container=container))
    assert cluster.api.logs("p", namespace) == "Read-only\n"


@pytest.mark.parametrize("pause", [0, 0.03, 0.06, 0.1, 0.2])
def test_a_pod_may_be_deleted_while_it_starts(cluster: Cluster, namespace: str, pause: float) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination"""
    for number in range(4):
        created(cluster, namespace, pod(f"p{number}", "sleep 100", terminationGracePeriodSeconds=0))
    time.sleep(pause)
    for number in range(4):
        cluster.api.delete("Pod", f"p{number}", namespace)
    cluster.api.wait_all("Pod", namespace, lambda them: not them)
