"""What may be installed in a cluster of the tests works there."""

from collections import Counter

import httpx

from .cluster_addons import set_usage, start_argo, start_gateway, start_jobset, start_kueue, start_metrics
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster
from .platform_machine import until
from .pod_documents import deployment, job, service, shell, web_server


def test_a_job_set_runs_its_jobs_and_its_pods_find_each_other(cluster: Cluster, namespace: str) -> None:
    """https://jobset.sigs.k8s.io/docs/concepts/"""
    start_jobset(cluster)

    def replicated(name: str, count: int, *script: str) -> Object:
        pod = {"restartPolicy": "Never", "containers": [shell(*script)], "terminationGracePeriodSeconds": 1}
        job = {"parallelism": count, "completions": count, "backoffLimit": 0, "template": {"spec": pod}}
        return {"name": name, "replicas": 1, "template": {"spec": job}}

    server = "python -m http.server 8000 & trap 'kill %1; exit 0' TERM; wait"
    client = "until curl -sf http://both-driver-0-0.both:8000 > /dev/null; do sleep .1; done"
    jobs = [replicated("driver", 1, server), replicated("worker", 2, client)]
    rules = {"operator": "All", "targetReplicatedJobs": ["worker"]}
    spec = {"replicatedJobs": jobs, "successPolicy": rules}
    metadata = {"name": "both", "namespace": namespace}
    cluster.api.create(
        {"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": metadata, "spec": spec}
    )
    cluster.api.wait("JobSet", "both", namespace, lambda it: condition(it, "Completed") == "True")


def test_the_autoscaler_follows_what_pods_are_said_to_use(cluster: Cluster, namespace: str) -> None:
    """https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details"""
    start_metrics(cluster)
    container = shell("trap 'exit 0' TERM; while true; do sleep .1; done", resources={"requests": {"cpu": "100m"}})
    cluster.api.apply(deployment("web", namespace, container))
    utilization = {"type": "Utilization", "averageUtilization": 50}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        "minReplicas": 1,
        "maxReplicas": 4,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": utilization}}],
    }
    metadata = {"name": "web", "namespace": namespace}
    cluster.api.apply(
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": spec}
    )
    for used, replicas in (("200m", 4), ("10m", 1)):
        set_usage(cluster, namespace, cpu=used)
        cluster.api.wait(
            "Deployment", "web", namespace, lambda it, n=replicas: it["status"].get("readyReplicas") == n
        )


def test_a_gateway_shares_requests_by_weight(cluster: Cluster, namespace: str) -> None:
    """https://gateway-api.sigs.k8s.io/guides/user-guides/traffic-splitting/"""
    address = start_gateway(cluster)
    for name in ("old", "new"):
        cluster.api.apply(deployment(name, namespace, web_server(name)))
        cluster.api.apply(service(name, namespace, 80, 8000))
        cluster.api.wait("Deployment", name, namespace, lambda it: it["status"].get("readyReplicas") == 1)
    backends = [{"name": name, "port": 80, "weight": weight} for name, weight in (("old", 90), ("new", 10))]
    spec = {
        "parentRefs": [{"name": "gateway", "namespace": "default"}],
        "hostnames": [f"{namespace}.example.com"],
        "rules": [{"backendRefs": backends}],
    }
    metadata = {"name": "web", "namespace": namespace}
    cluster.api.apply(
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}
    )

    def accepted(it: Object) -> bool:
        return any(condition({"status": parent}, "Accepted") == "True" for parent in it["status"].get("parents", ()))

    cluster.api.wait("HTTPRoute", "web", namespace, lambda it: "status" in it and accepted(it))
    with httpx.Client(base_url=address, headers={"host": f"{namespace}.example.com"}) as client:
        until(lambda: client.get("/").status_code == 200)
        answers = Counter(client.get("/").text for _ in range(100))
    assert set(answers) == {"old", "new"}
    assert 80 <= answers["old"] <= 98


def test_a_queue_admits_what_its_quota_allows_and_the_next_when_that_is_done(
    cluster: Cluster, namespace: str
) -> None:
    """https://kueue.sigs.k8s.io/docs/tasks/run/jobs/"""
    start_kueue(cluster)
    version = "kueue.x-k8s.io/v1beta2"
    flavors = [{"name": namespace, "resources": [{"name": "cpu", "nominalQuota": 1}]}]
    queue = {"namespaceSelector": {}, "resourceGroups": [{"coveredResources": ["cpu"], "flavors": flavors}]}
    for kind, name, spec in (
        ("ResourceFlavor", namespace, {}),
        ("ClusterQueue", namespace, queue),
        ("LocalQueue", "queue", {"clusterQueue": namespace}),
    ):
        place = {"namespace": namespace} if kind == "LocalQueue" else {}
        cluster.api.create({"apiVersion": version, "kind": kind, "metadata": {"name": name, **place}, "spec": spec})
    for name in ("first", "second"):
        container = shell("until test -e /done; do sleep .1; done", resources={"requests": {"cpu": "1"}})
        document = job(name, namespace, {"restartPolicy": "Never", "containers": [container]}, suspend=True)
        document["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "queue"}
        cluster.api.create(document)
        if name == "first":
            cluster.api.wait("Job", name, namespace, lambda it: it["status"].get("ready") == 1)
    workloads = cluster.api.wait_all(
        "Workload", namespace, lambda them: sum(map(pending, them)) == 1 and len(them) == 2
    )
    assert [it["metadata"]["ownerReferences"][0]["name"] for it in workloads if pending(it)] == ["second"]
    assert cluster.api.get("Job", "second", namespace)["spec"]["suspend"]
    cluster.api.delete("Job", "first", namespace)
    cluster.api.wait("Job", "second", namespace, lambda it: it["status"].get("ready") == 1)


def pending(workload: Object) -> bool:
    return condition(workload, "QuotaReserved") == "False"


def test_a_workflow_hands_what_one_step_says_to_the_next(cluster: Cluster, namespace: str) -> None:
    """https://argo-workflows.readthedocs.io/en/latest/walk-through/output-parameters/"""
    start_argo(cluster)
    said = {"parameters": [{"name": "what", "valueFrom": {"path": "/tmp/said"}}]}
    heard = {"parameters": [{"name": "what"}]}
    given = {"parameters": [{"name": "what", "value": "{{tasks.say.outputs.parameters.what}}"}]}
    tasks = [
        {"name": "say", "template": "say"},
        {"name": "hear", "template": "hear", "depends": "say", "arguments": given},
    ]
    templates = [
        {"name": "both", "dag": {"tasks": tasks}},
        {"name": "say", "container": shell("echo -n hello > /tmp/said"), "outputs": said},
        {"name": "hear", "container": shell("test '{{inputs.parameters.what}}' = hello"), "inputs": heard},
    ]
    metadata = {"name": "w", "namespace": namespace}
    spec = {"entrypoint": "both", "templates": templates}
    cluster.api.create({"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec})
    ends = ("Succeeded", "Failed", "Error")
    it = cluster.api.wait("Workflow", "w", namespace, lambda it: it.get("status", {}).get("phase") in ends)
    assert it["status"]["phase"] == "Succeeded", it["status"]
