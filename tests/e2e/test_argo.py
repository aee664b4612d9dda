"""An exported pipeline runs under the controller of Argo Workflows as it does here."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from lykeion.platform import WRITTEN, facts_of, read_resources, render

from .cluster_addons import start_argo
from .kubernetes_cluster import Cluster

pytestmark = pytest.mark.slow

PIPELINE = """apiVersion: lykeion.github.io/v1alpha1
kind: Pipeline
metadata: {name: nightly}
spec:
  parameters: [{name: day, default: monday}]
  steps:
  - name: list
    program:
      image: host.local/shell
      command:
      - sh
      - -c
      - echo '{"days":["a","b"],"count":2,"label":"of $(parameters.day)"}' > $LYKEION_RESULT
  - name: each
    program:
      image: host.local/shell
      command: [sh, -c, "echo $LYKEION_SHARD $(steps.list.results.label)"]
    forEach: $(steps.list.results.days)
  - name: many
    program: {image: host.local/shell, command: [sh, -c, "echo many"]}
    when: steps.list.results.count > 2
  - name: after-many
    program: {image: host.local/shell, command: [sh, -c, "echo never"]}
    needs: [many]
  - name: few
    program: {image: host.local/shell, command: [sh, -c, "echo few"]}
    when: steps.list.results.count <= 2 and parameters.day = 'monday'
  - name: twice
    program:
      image: host.local/shell
      command: [sh, -c, "exit 3"]
    needs: [few]
    retries: 1
    onFailure: [{action: Fail, exitCodes: [4]}]
  exitSteps:
  - name: tell
    program: {image: host.local/shell, command: [sh, -c, "echo told"]}
    when: run.outcome = 'Failed'
"""


@pytest.fixture(scope="module")
def argo(cluster: Cluster) -> Cluster:
    start_argo(cluster)
    return cluster


def _exported(path: Path, namespace: str) -> dict[str, Any]:
    file = path / "nightly.yaml"
    file.write_text(PIPELINE)
    resources = read_resources([file], WRITTEN, namespace)
    document = yaml.safe_load(render(resources, facts_of("plain"), argo=True))
    document["spec"]["securityContext"]["runAsUser"] = 65532  # images of this machine name no user
    return document


def test_steps_results_conditions_items_retries_and_the_exit_step_are_as_the_pipeline_says(
    argo: Cluster, namespace: str, tmp_path: Path
) -> None:
    made = argo.api.create(_exported(tmp_path, namespace))
    name = made["metadata"]["name"]
    ended = argo.api.wait("Workflow", name, namespace, lambda it: it.get("status", {}).get("finishedAt"), seconds=180)
    nodes = ended["status"]["nodes"].values()
    phases = {each["displayName"]: each["phase"] for each in nodes}
    assert phases["list"] == phases["few"] == phases["each"] == "Succeeded"
    assert (phases["many"], phases["after-many"]) == ("Skipped", "Omitted")
    assert phases["twice"] == "Failed"
    assert len([each for each in nodes if each["displayName"].startswith("twice(")]) == 2
    assert phases["tell"] == "Succeeded"
    items = [each for each in nodes if each["displayName"].startswith("item(") and each["type"] == "Pod"]
    said = {argo.api.logs(_pod(ended, each), namespace, "main").splitlines()[0] for each in items}
    assert said == {"a of monday", "b of monday"}
    assert ended["status"]["phase"] == "Failed"


def _pod(workflow: dict[str, Any], node: dict[str, Any]) -> str:
    """https://argo-workflows.readthedocs.io/en/release-3.7/pod-names: NAME-TEMPLATE-HASH."""
    suffix = node["id"].rpartition("-")[2]
    return f"{workflow['metadata']['name']}-{node['templateName']}-{suffix}"
