"""A pipeline as a Workflow of Argo Workflows: what fits keeps its meaning, what does not is named."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from lykeion.core import Unsupported
from lykeion.platform import WRITTEN, facts_of, read_resources, render
from lykeion.platform.kubernetes.exporting.argo_expressions import as_condition
from tests.e2e.control_plane.tools import module_files

HEAD = "apiVersion: lykeion.github.io/v1alpha1\nkind: Pipeline\nmetadata: {name: nightly}\nspec:\n"
NIGHTLY = """
  parameters: [{name: day, default: "2026-11-01"}]
  schedule: {cron: "0 3 * * *", timeZone: Europe/Berlin}
  deadlineSeconds: 7200
  ttlSecondsAfterFinished: 3600
  steps:
  - name: list
    program: {image: "shop/list:v1", command: [list-days, "--day=$(parameters.day)"]}
  - name: embed
    program:
      image: shop/embed:v1
      command: [embed, $(LYKEION_SHARD), --of=$(steps.list.results.label)]
      env:
      - {name: TOKEN, valueFrom: {secretKeyRef: {name: shop, key: token}}}
      resources: {cpu: 2, memory: 4Gi, accelerator: {type: t4}}
      pod: {nodeSelector: {disk: ssd}, serviceAccountName: shop}
    forEach: $(steps.list.results.days)
    parallelism: 4
    retries: 3
    onFailure: [{action: Fail, exitCodes: [2]}]
    timeLimitSeconds: 600
  - name: each-size
    program: {image: "shop/embed:v1", command: [embed, $(LYKEION_SHARD)]}
    forEach: '["small", 2]'
  - name: report
    program: {image: "shop/report:v1", args: [--run, $(run.name)], workingDir: /srv}
    needs: [embed]
    when: parameters.day != '' and not steps.list.results.count <= 3
  exitSteps:
  - name: tell
    program: {image: "shop/tell:v1"}
    when: run.outcome = 'Complete'
"""


def _exported(path: Path, spec: str) -> dict[str, Any]:
    file = path / "nightly.yaml"
    file.write_text(HEAD + spec)
    resources = read_resources([file], WRITTEN, "default")
    return yaml.safe_load(render(resources, facts_of("gke"), argo=True))


def _templates(workflow: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in workflow["templates"]}


def _tasks(workflow: dict[str, Any], name: str = "dag") -> dict[str, Any]:
    return {each["name"]: each for each in _templates(workflow)[name]["dag"]["tasks"]}


def test_a_schedule_makes_it_a_cron_workflow(tmp_path: Path) -> None:
    cron = _exported(tmp_path, NIGHTLY)
    assert cron["kind"] == "CronWorkflow"
    assert cron["spec"]["schedules"] == ["0 3 * * *"]
    assert cron["spec"]["timezone"] == "Europe/Berlin"
    assert cron["spec"]["workflowSpec"]["activeDeadlineSeconds"] == 7200
    assert cron["spec"]["workflowSpec"]["arguments"] == {"parameters": [{"name": "day", "value": "2026-11-01"}]}


def test_steps_depend_on_one_another_and_are_left_out_after_one_that_is_skipped(tmp_path: Path) -> None:
    tasks = _tasks(_exported(tmp_path, NIGHTLY)["spec"]["workflowSpec"])
    assert "depends" not in tasks["list"]
    assert tasks["embed"]["depends"] == "list.Succeeded"
    assert tasks["report"]["depends"] == "embed.Succeeded && list.Succeeded"


def test_a_filter_is_an_expression_that_argo_evaluates(tmp_path: Path) -> None:
    tasks = _tasks(_exported(tmp_path, NIGHTLY)["spec"]["workflowSpec"])
    count = "jsonpath(tasks['list'].outputs.parameters.result, '$.count')"
    assert tasks["report"]["when"] == f"{{{{=(workflow.parameters.day != '' && !({count} <= 3))}}}}"


def test_results_of_other_steps_are_inputs_of_a_template(tmp_path: Path) -> None:
    workflow = _exported(tmp_path, NIGHTLY)["spec"]["workflowSpec"]
    given = {each["name"]: each["value"] for each in _tasks(workflow)["embed"]["arguments"]["parameters"]}
    label = "jsonpath(tasks['list'].outputs.parameters.result, '$.label')"
    assert given["list__label"] == f"{{{{=type({label}) == 'string' ? {label} : toJson({label})}}}}"
    step = _templates(workflow)["step-embed"]
    assert step["container"]["command"] == ["embed", "$(LYKEION_SHARD)", "--of={{inputs.parameters.list__label}}"]
    assert {each["name"] for each in step["inputs"]["parameters"]} == {"list__label", "item"}


def test_items_are_run_so_many_at_a_time(tmp_path: Path) -> None:
    workflow = _exported(tmp_path, NIGHTLY)["spec"]["workflowSpec"]
    items = _templates(workflow)["items-embed"]
    assert items["parallelism"] == 4
    assert items["dag"]["tasks"][0]["withParam"] == "{{inputs.parameters.items}}"
    (literal,) = _tasks(workflow)["each-size"]["arguments"]["parameters"]
    assert json.loads(literal["value"]) == ["small", "2"]


def test_retries_limits_and_places_are_kept(tmp_path: Path) -> None:
    step = _templates(_exported(tmp_path, NIGHTLY)["spec"]["workflowSpec"])["step-embed"]
    assert step["retryStrategy"]["limit"] == 3
    assert step["retryStrategy"]["expression"] == "asInt(lastRetry.exitCode) not in [2]"
    assert step["activeDeadlineSeconds"] == 600
    assert step["nodeSelector"] == {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4", "disk": "ssd"}
    assert step["serviceAccountName"] == "shop"
    assert step["container"]["resources"]["limits"] == {"memory": "4Gi", "nvidia.com/gpu": 1}


def test_exit_steps_are_the_exit_handler(tmp_path: Path) -> None:
    workflow = _exported(tmp_path, NIGHTLY)["spec"]["workflowSpec"]
    assert workflow["onExit"] == "exit-dag"
    assert _tasks(workflow, "exit-dag")["tell"]["when"] == "{{=workflow.status == 'Succeeded'}}"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("{program: {command: [a]}, inputs: [{name: x, artifact: shoes}]}", "step a: inputs and outputs"),
        ("{training: {program: {command: [a]}}}", "step a: training: Argo would wait for it"),
        (
            "{program: {command: [a]}, onFailure: [{action: Ignore, reasons: [Evicted]}]}",
            "onFailure: Ignore for Evicted",
        ),
        ("{cluster: gke, program: {command: [a]}}", "step a: Argo has no steps in another cluster"),
        ("{program: {command: [a], pod: {queueName: gpus}}}", "step a: pod.queueName"),
        ("{program: {command: ['{{x}}']}}", "step a: '{{' begins a template of Argo"),
        ("{program: {command: [a, $(LYKEION_SHARD_INDEX)]}, forEach: '[1]'}", "no number for LYKEION_SHARD_INDEX"),
        (
            "{program: {command: [a]}, forEach: '[1, $(parameters.day)]'}",
            "neither a JSON list nor a single reference",
        ),
        ("{program: {command: [a]}, when: parameters.day is null}", "whether parameters.day has a value"),
    ],
)
def test_what_does_not_fit_is_named_and_refused(tmp_path: Path, step: str, message: str) -> None:
    spec = f"  parameters: [{{name: day, default: x}}]\n  steps:\n  - {{name: a, {step[1:]}\n"
    with pytest.raises(Unsupported) as refused:
        _exported(tmp_path, spec)
    assert message in str(refused.value)
    assert str(refused.value).startswith("pipeline/nightly does not fit Argo Workflows: ")


def test_all_that_does_not_fit_is_named_at_once(tmp_path: Path) -> None:
    spec = """  steps:
  - {name: a, program: {command: [a]}, forEach: '[1]'}
  - {name: b, batch: {program: {command: [a]}, shards: {count: 1}}}
  - {name: c, program: {command: [c, $(steps.a.results.x)]}}
  exitSteps:
  - {name: d, program: {command: [d]}, when: steps.a.outcome = 'Failed'}
"""
    with pytest.raises(Unsupported) as refused:
        _exported(tmp_path, spec)
    for each in ("step b: batch", "step c: the results of a", "exit step d: Argo's exit handler does not know a"):
        assert each in str(refused.value)


def test_only_pipelines_are_exported(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(HEAD.replace("Pipeline", "Training") + "  program: {command: [a]}\n")
    with pytest.raises(Unsupported, match="training/nightly: only a Pipeline"):
        render(read_resources([file], WRITTEN, "default"), facts_of("plain"), argo=True)


def test_text_is_quoted_in_an_expression() -> None:
    assert as_condition("""parameters.day = "it's" """) == r"{{=workflow.parameters.day == 'it\'s'}}"


@pytest.fixture(scope="module")
def definitions() -> dict[str, Any]:
    """The schemas of Argo's CRDs by kind, from its Go module."""
    files = module_files("workflow-controller", "github.com/argoproj/argo-workflows/v3") / "manifests/base/crds/full"
    found: dict[str, Any] = {}
    for plural in ("workflows", "cronworkflows"):
        document = yaml.load((files / f"argoproj.io_{plural}.yaml").read_text(), Loader=yaml.CSafeLoader)
        (version,) = document["spec"]["versions"]
        found[document["spec"]["names"]["kind"]] = _strict(version["schema"]["openAPIV3Schema"])
    return found


def _strict(schema: Any) -> Any:
    """Unknown fields refused, as by an API server that is asked for strict validation."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {name: _strict(each) for name, each in schema.items()}
    open_ends = ("additionalProperties", "x-kubernetes-preserve-unknown-fields")
    if isinstance(made.get("properties"), dict) and made["properties"] and not any(map(made.get, open_ends)):
        made["additionalProperties"] = False
    return made


@pytest.mark.slow
@pytest.mark.parametrize("scheduled", [True, False])
def test_an_export_is_valid_by_argo_s_own_definitions(
    tmp_path: Path, definitions: dict[str, Any], scheduled: bool
) -> None:
    spec = NIGHTLY if scheduled else NIGHTLY.replace(NIGHTLY.splitlines()[2], "")
    document = _exported(tmp_path, spec)
    schema = definitions[document["kind"]]
    schema["properties"]["metadata"] = {"type": "object"}
    errors = [f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in _errors(schema, document)]
    assert errors == []
    document.get("spec", {})["entrypoin"] = "x"
    assert list(_errors(schema, document))


def _errors(schema: Any, document: Any) -> Any:
    return jsonschema_rs.validator_for(schema).iter_errors(document)
