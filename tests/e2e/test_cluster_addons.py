"""What may be installed in a cluster of the tests works there."""

from .cluster_addons import start_jobset
from .kubernetes_api import Object, condition
from .kubernetes_cluster import Cluster
from .pod_documents import shell


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
