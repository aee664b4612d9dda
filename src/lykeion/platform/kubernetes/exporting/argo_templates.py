"""One step of a pipeline as a template of Argo Workflows: its container, retries and limits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from lykeion.core import Unsupported
from lykeion.platform.kubernetes.objects import ClusterFacts
from lykeion.platform.resources.pipelines import PipelineStep, references
from lykeion.platform.resources.programs import EnvironmentVariable, FailureRule, PodTemplate, Program, Requests

from .argo_expressions import RESULT, result_input, with_templates

Document = dict[str, Any]

DIRECTORY = "/lykeion/out"
_FITS = frozenset(
    {"labels", "annotations", "service_account_name", "node_selector", "tolerations", "priority_class_name"}
)
"""The fields of a pod template that an export has."""


def problems(step: PipelineStep) -> Iterator[str]:
    """What of a step does not fit."""
    for field in ("training", "batch"):
        if getattr(step, field):
            yield f"{field}: Argo would wait for it with a pod of its own and rights in the cluster"
    if step.inputs or step.outputs:
        yield "inputs and outputs: each step would need the credentials of the registry"
    if step.cache:
        yield "cache"
    for rule in step.on_failure:
        if rule.action == "Ignore" or rule.reasons:
            yield f"onFailure: {rule.action} for {', '.join([*map(str, rule.exit_codes), *rule.reasons])}"
    if step.program and step.program.pod:
        pod = step.program.pod
        default = PodTemplate()
        extra = [each for each in pod.__struct_fields__ if getattr(pod, each) != getattr(default, each)]
        yield from (f"pod.{_camel(each)}" for each in extra if each not in _FITS)
    if step.for_each is not None:
        yield from _index_problems(step)


def step_template(step: PipelineStep, facts: ClusterFacts) -> Document:
    """Raises Unsupported for references that Argo does not know."""
    program = step.program
    if program is None:
        raise Unsupported("it has no program")
    made: Document = {"name": f"step-{step.name}"}
    inputs = [*map(result_input, results_of(step)), *(["item"] if step.for_each is not None else [])]
    if inputs:
        made["inputs"] = {"parameters": [{"name": each} for each in inputs]}
    made |= _placed(program, facts)
    made["container"] = _container(step, program, facts)
    made["volumes"] = [{"name": "out", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "tmp", "emptyDir": {}}]
    path = {"path": f"{DIRECTORY}/{RESULT}", "default": "{}"}
    made["outputs"] = {"parameters": [{"name": RESULT, "valueFrom": path}]}
    if step.retries:
        made["retryStrategy"] = _retries(step.retries, step.on_failure)
    if step.time_limit_seconds is not None:
        made["activeDeadlineSeconds"] = step.time_limit_seconds
    return made


def results_of(step: PipelineStep) -> list[str]:
    """The results of other steps to which a step's program refers."""
    return sorted(each for each in references(step.program) if ".results." in each)


def _index_problems(step: PipelineStep) -> Iterator[str]:
    text = json.dumps(msgspec.to_builtins(step.program))
    for name in ("LYKEION_SHARD_INDEX", "LYKEION_SHARD_COUNT", "JOB_COMPLETION_INDEX"):
        if name in text:
            yield f"forEach: Argo's items have no number for {name}"


def _container(step: PipelineStep, program: Program, facts: ClusterFacts) -> Document:
    made: Document = {"image": program.image or facts.image}
    for field, words in (("command", program.command), ("args", program.args)):
        if words:
            made[field] = [with_templates(each) for each in words]
    made["env"] = [{"name": "LYKEION_RESULT", "value": f"{DIRECTORY}/{RESULT}"}]
    if step.for_each is not None:
        made["env"].append({"name": "LYKEION_SHARD", "value": "{{inputs.parameters.item}}"})
    made["env"] += [_variable(each) for each in program.env]
    if program.working_dir:
        made["workingDir"] = program.working_dir
    if resources := _resources(program.resources, facts):
        made["resources"] = resources
    made["volumeMounts"] = [{"name": "out", "mountPath": DIRECTORY}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    made["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return made


def _variable(variable: EnvironmentVariable) -> Document:
    if variable.value_from:
        source = msgspec.to_builtins(variable.value_from)
        return {"name": variable.name, "valueFrom": {name: each for name, each in source.items() if each}}
    return {"name": variable.name, "value": with_templates(variable.value)}


def _resources(asked: Requests, facts: ClusterFacts) -> Document:
    requests: dict[str, Any] = {}
    if asked.cpu:
        requests["cpu"] = asked.cpu
    if asked.memory:
        requests["memory"] = asked.memory
    limits = {name: value for name, value in requests.items() if name == "memory"}
    if asked.accelerator:
        profile = next((each for each in facts.profile.accelerators if each.name == asked.accelerator.type), None)
        name = profile.resource_name if profile else asked.accelerator.type
        requests[name] = limits[name] = asked.accelerator.count
    return {field: each for field, each in (("requests", requests), ("limits", limits)) if each}


def _placed(program: Program, facts: ClusterFacts) -> Document:
    """Where the pod runs, and as whom."""
    pod, accelerator = program.pod or PodTemplate(), program.resources.accelerator
    profile = next(
        (each for each in facts.profile.accelerators if accelerator and each.name == accelerator.type), None
    )
    selector: Mapping[str, str] = {**(profile.node_selector if profile else {}), **pod.node_selector}
    tolerations: Sequence[Any] = msgspec.to_builtins((*(profile.tolerations if profile else ()), *pod.tolerations))
    metadata = {name: dict(each) for name, each in (("labels", pod.labels), ("annotations", pod.annotations)) if each}
    fields = {
        "metadata": metadata,
        "nodeSelector": dict(selector),
        "tolerations": [{name: each for name, each in one.items() if each not in (None, "")} for one in tolerations],
        "serviceAccountName": pod.service_account_name,
        "priorityClassName": pod.priority_class_name,
    }
    return {name: each for name, each in fields.items() if each}


def _retries(count: int, rules: Sequence[FailureRule]) -> Document:
    """After 1 s, then 2, 4 and so on up to 60 s; never after an exit code with the action Fail."""
    backoff = {"duration": "1s", "factor": 2, "cap": "60s"}
    made: Document = {"limit": count, "retryPolicy": "Always", "backoff": backoff}
    final = sorted({code for rule in rules if rule.action == "Fail" for code in rule.exit_codes})
    return {**made, "expression": f"asInt(lastRetry.exitCode) not in {json.dumps(final)}"} if final else made


def _camel(field: str) -> str:
    first, *others = field.split("_")
    return first + "".join(each.title() for each in others)
