"""What is rendered and what is in deploy/ and examples/ is what a real API server takes."""

from pathlib import Path

import pytest
import yaml

from lykeion.platform import WRITTEN, facts_of, read_resources, render
from lykeion.platform.kubernetes.installing.cloud_profiles import PROFILES

from .kubernetes_cluster import DEPLOY, ROOT, Cluster

SAMPLE = ROOT / "tests" / "platform" / "kubernetes" / "rendered.yaml"
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
EXTENSIONS = ("HTTPRoute", "HealthCheckPolicy")
"""Kinds that GKE has, and the cluster of the tests has not."""
OVERLAYS = sorted(path.name for path in (DEPLOY / "overlays").iterdir())


@pytest.mark.parametrize("profile", PROFILES)
def test_a_restricted_namespace_takes_what_is_rendered_without_a_warning(
    cluster: Cluster, namespace: str, profile: str
) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-admission/: workloads are warned of, pods refused."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    cluster.api.patch("Namespace", namespace, None, {"metadata": {"labels": labels}})
    resources = read_resources([SAMPLE], WRITTEN, "default")
    documents = [each for each in yaml.safe_load_all(render(resources, facts_of(profile))) if each]
    ours = [each for each in documents if each["kind"] not in EXTENSIONS]
    for each in ours:
        each["metadata"]["namespace"] = namespace
    text = yaml.safe_dump_all(ours)
    command = ("apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-")
    printed = cluster.kubectl(*command, text=text).splitlines()
    assert len(printed) == len(ours)
    assert all("created" in line for line in printed)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_kubectl_applies_the_examples(cluster: Cluster, namespace: str, file: Path) -> None:
    printed = cluster.kubectl("apply", "--dry-run=server", "-n", namespace, "-f", str(file)).splitlines()
    assert printed
    assert all("created" in line for line in printed)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_applies_an_overlay(cluster: Cluster, overlay: str) -> None:
    """In namespaces that are there already, as a dry run makes none, and over the operator's role of other tests."""
    built = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(DEPLOY / "overlays" / overlay))))
    for name in ("lykeion-system", "lykeion-work"):
        if cluster.api.find("Namespace", name) is None:
            cluster.namespace(name)
    text = yaml.safe_dump_all(built)
    dry = ("--server-side", "--force-conflicts", "--dry-run=server")
    command = ("apply", *dry, "--validate=strict", "--warnings-as-errors", "-f", "-")
    printed = cluster.kubectl(*command, text=text).splitlines()
    assert len(printed) == len(built)
