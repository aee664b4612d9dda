"""What may be installed in a cluster of the tests: each as a process of its own, beside the control plane.

Each function does nothing when it was called for the same cluster before. Their webhooks are called by URL.
"""

import json
import sys
from pathlib import Path

import yaml

from .control_plane.tools import module_files, tool
from .kubernetes_api import Object, condition
from .kubernetes_cluster import ADMINISTRATORS, Cluster, Program, free_port, read_documents


def start_jobset(cluster: Cluster) -> None:
    """JobSet 0.10, https://jobset.sigs.k8s.io."""
    if "jobset" in cluster.programs:
        return
    files = module_files("jobset", "sigs.k8s.io/jobset") / "config/components"
    cluster.install(files / "crd/bases")
    ports = _Ports(cluster)
    configuration = {
        "apiVersion": "config.jobset.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        **_manager(cluster, "jobset", ports),
    }
    _start_manager(cluster, "jobset", configuration, ports)
    _install_webhooks(cluster, files / "webhook/manifests.yaml", ports.webhooks, "jobset")


def start_kueue(cluster: Cluster) -> None:
    """Kueue 0.17 for Jobs and JobSets, https://kueue.sigs.k8s.io; JobSet is started too."""
    start_jobset(cluster)
    if "kueue" in cluster.programs:
        return
    files = module_files("kueue", "sigs.k8s.io/kueue") / "config/components"
    ports = _Ports(cluster)
    cluster.install(*(_converted(cluster, path, ports.webhooks) for path in (files / "crd/bases").glob("*.yaml")))
    cluster.namespace("kueue-system")
    configuration = {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "integrations": {"frameworks": ["batch/job", "jobset.x-k8s.io/jobset"]},
        "featureGates": {"VisibilityOnDemand": False},
        **_manager(cluster, "kueue", ports),
    }
    _start_manager(cluster, "kueue", configuration, ports)
    manifests = cluster.place / "kueue-webhooks.yaml"
    manifests.write_text(
        yaml.safe_dump_all(map(_of_jobs_and_queues, read_documents(files / "webhook/manifests.yaml")))
    )
    _install_webhooks(cluster, manifests, ports.webhooks, "kueue")


def _converted(cluster: Cluster, path: Path, port: int) -> Path:
    """A definition whose two versions the manager converts, as its patches say."""
    (document,) = read_documents(path)
    patches = yaml.safe_load((path.parents[1] / "kustomization.yaml").read_text())["patches"]
    if {"path": f"patches/{path.name.replace('kueue.x-k8s.io_', 'webhook_in_')}"} in patches:
        client = cluster.webhook_client(port, "/convert")
        webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
        document["spec"]["conversion"] = {"strategy": "Webhook", "webhook": webhook}
    place = cluster.place / path.name
    place.write_text(yaml.dump(document, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    return place


_QUEUED = ("clusterqueue", "cohort", "job", "jobset", "localqueue", "resourceflavor", "workload")


def _of_jobs_and_queues(document: Object) -> Object:
    """Without the webhooks of kinds that no integration here has."""
    document["webhooks"] = [it for it in document["webhooks"] if it["name"].removesuffix(".kb.io")[1:] in _QUEUED]
    return document


class _Ports:
    def __init__(self, cluster: Cluster) -> None:
        self.webhooks, self.health = free_port(cluster.machine), free_port(cluster.machine)


def _manager(cluster: Cluster, name: str, ports: _Ports) -> Object:
    """The part of the configuration that managers made with controller-runtime share."""
    folder = cluster.place / f"{name}-webhooks"
    folder.mkdir()
    certificate, key = cluster.authority.issue(f"{name}-webhooks", name, hosts=(cluster.machine,))
    certificate.rename(folder / "tls.crt")
    key.rename(folder / "tls.key")
    return {
        "webhook": {"host": cluster.machine, "port": ports.webhooks, "certDir": str(folder)},
        "health": {"healthProbeBindAddress": f"{cluster.machine}:{ports.health}"},
        "metrics": {"bindAddress": "0"},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
    }


def _start_manager(cluster: Cluster, name: str, configuration: Object, ports: _Ports) -> None:
    path = cluster.place / f"{name}.yaml"
    path.write_text(yaml.safe_dump(configuration))
    kubeconfig = cluster.kubeconfig_of(name, ADMINISTRATORS)
    command = [str(tool(name)), f"--config={path}", f"--kubeconfig={kubeconfig}"]
    if name == "kueue":  # its metrics' certificate has a place that no setting changes
        command = ["unshare", "--mount", "sh", "-c", _WITH_CERTIFICATE, str(cluster.place), *command]
    program = cluster.programs[name] = Program(name, command, cluster.place / f"{name}.log")
    program.start()
    cluster.wait_answer(f"http://{cluster.machine}:{ports.health}/readyz", program)


_WITH_CERTIFICATE = """
set -e
mkdir "$0/etc"
mount -t tmpfs tmpfs "$0/etc"
mkdir "$0/etc/upper" "$0/etc/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$0/etc/upper,workdir=$0/etc/work" /etc
mkdir -p /etc/kueue/metrics
cp -r "$0/kueue-webhooks" /etc/kueue/metrics/certs
exec "$@"
"""


def _install_webhooks(cluster: Cluster, manifests: Path, port: int, prefix: str) -> None:
    for document in read_documents(manifests):
        document["metadata"] = {"name": f"{prefix}-{document['metadata']['name']}"}
        for webhook in document["webhooks"]:
            webhook["clientConfig"] = cluster.webhook_client(port, webhook["clientConfig"]["service"]["path"])
        cluster.api.apply(document)


def start_metrics(cluster: Cluster) -> None:
    """The metrics API; ``set_usage`` says what pods use."""
    if "metrics" in cluster.programs:
        return
    port = free_port(cluster.machine)
    certificate, key = cluster.authority.issue("metrics", "metrics", hosts=("metrics.kube-system.svc",))
    usage, path = cluster.place / "usage.json", cluster.place / "metrics.json"
    usage.write_text("{}")
    settings = {
        "kubeconfig": cluster.kubeconfig_of("metrics", ADMINISTRATORS),
        "usage": usage,
        "address": cluster.machine,
        "port": port,
        "certificate": certificate,
        "key": key,
    }
    path.write_text(json.dumps(settings, default=str))
    command = [sys.executable, "-m", "tests.e2e.metrics_stub", str(path)]
    cluster.programs["metrics"] = Program("metrics", command, cluster.place / "metrics.log")
    cluster.programs["metrics"].start()
    for document in _aggregated(cluster, port):
        cluster.api.apply(document)
    cluster.api.wait("APIService", "v1beta1.metrics.k8s.io", None, lambda it: condition(it, "Available") == "True")


def set_usage(cluster: Cluster, namespace: str, **used: str) -> None:
    """What each container of a namespace uses from now on, such as ``cpu="400m"``."""
    path = cluster.place / "usage.json"
    path.with_suffix(".next").write_text(json.dumps(json.loads(path.read_text()) | {namespace: used}))
    path.with_suffix(".next").rename(path)


def _aggregated(cluster: Cluster, port: int) -> list[Object]:
    """A service without pods, whose endpoint is this machine, and the API that is asked there."""
    metadata = {"name": "metrics", "namespace": "kube-system"}
    labels = {"kubernetes.io/service-name": "metrics"}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 443}]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [cluster.machine], "conditions": {"ready": True}}],
            "ports": [{"name": "", "port": port, "protocol": "TCP"}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "service": {**metadata, "port": 443},
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "caBundle": cluster.webhook_client(port, "")["caBundle"],
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]


def start_gateway(cluster: Cluster) -> str:
    """The Gateway API and Traefik 3.5 with one Gateway, ``gateway`` in ``default``, for routes of all namespaces.

    Returns the address that answers for it, such as http://10.88.0.1:40000.
    """
    if "traefik" not in cluster.programs:
        cluster.install(module_files("traefik", "sigs.k8s.io/gateway-api") / "config/crd/standard")
        port = free_port(cluster.machine)
        ping = free_port(cluster.machine)
        for document in _gateway(port):
            cluster.api.apply(document)
        command = [
            str(tool("traefik")), "--providers.kubernetesgateway=true", "--ping=true", "--ping.entryPoint=ping",
            f"--entryPoints.web.address={cluster.machine}:{port}",
            f"--entryPoints.ping.address={cluster.machine}:{ping}",
            "--global.checknewversion=false", "--global.sendanonymoususage=false",
        ]  # fmt: skip
        environment = {"KUBECONFIG": str(cluster.kubeconfig_of("traefik", ADMINISTRATORS))}
        program = Program("traefik", command, cluster.place / "traefik.log", environment)
        cluster.programs["traefik"] = program
        program.start()
        cluster.wait_answer(f"http://{cluster.machine}:{ping}/ping", program)
        cluster.api.wait("Gateway", "gateway", "default", lambda it: condition(it, "Programmed") == "True")
    listener = cluster.api.get("Gateway", "gateway", "default")["spec"]["listeners"][0]
    return f"http://{cluster.machine}:{listener['port']}"


def _gateway(port: int) -> list[Object]:
    version = "gateway.networking.k8s.io/v1"
    listener = {"name": "web", "protocol": "HTTP", "port": port, "allowedRoutes": {"namespaces": {"from": "All"}}}
    return [
        {
            "apiVersion": version,
            "kind": "GatewayClass",
            "metadata": {"name": "traefik"},
            "spec": {"controllerName": "traefik.io/gateway-controller"},
        },
        {
            "apiVersion": version,
            "kind": "Gateway",
            "metadata": {"name": "gateway", "namespace": "default"},
            "spec": {"gatewayClassName": "traefik", "listeners": [listener]},
        },
    ]


def start_argo(cluster: Cluster) -> None:
    """Argo Workflows 3.7: its controller, and its executor as an image of this machine.

    Every ServiceAccount may write task results, as Argo's documentation asks for those of its pods.
    """
    if "workflow-controller" in cluster.programs:
        return
    files = (
        module_files("workflow-controller", "github.com/argoproj/argo-workflows/v3") / "manifests/base/crds/minimal"
    )
    cluster.install(*files.glob("argoproj.io_*.yaml"))
    cluster.namespace("argo")
    for document in _argo(tool("argoexec").parent):
        cluster.api.apply(document)
    kubeconfig = cluster.kubeconfig_of("argo", ADMINISTRATORS, namespace="argo")
    command = [str(tool("workflow-controller")), f"--kubeconfig={kubeconfig}", "--executor-image=host.local/argoexec"]
    environment = {"LEADER_ELECTION_DISABLE": "true"}
    program = Program("workflow-controller", command, cluster.place / "argo.log", environment)
    cluster.programs["workflow-controller"] = program
    program.start()


def _argo(executor: Path) -> list[Object]:
    path = f"{executor}:/usr/local/bin:/usr/bin:/bin"
    configuration = {
        "executor": {"env": [{"name": "PATH", "value": path}]},
        "metricsConfig": {"enabled": False},
        "telemetryConfig": {"enabled": False},
    }
    data = {"config": yaml.safe_dump(configuration)}
    role = {"name": "argo-executor"}
    rules = [{"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}]
    everyone = {"kind": "Group", "name": "system:serviceaccounts", "apiGroup": "rbac.authorization.k8s.io"}
    reference = {"kind": "ClusterRole", "name": role["name"], "apiGroup": "rbac.authorization.k8s.io"}
    rbac = "rbac.authorization.k8s.io/v1"
    place = {"name": "workflow-controller-configmap", "namespace": "argo"}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": place, "data": data},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": role, "rules": rules},
        {
            "apiVersion": rbac,
            "kind": "ClusterRoleBinding",
            "metadata": role,
            "roleRef": reference,
            "subjects": [everyone],
        },
    ]
