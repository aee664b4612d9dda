"""From failure rules to a Job's pod failure policy, and from a failed pod to the reason that rules name.

https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-failure-policy knows exit codes and the condition
DisruptionTarget, which a pod gets that was evicted, preempted or lost with its node.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lykeion.platform.kubernetes.objects import NOTHING, part, parts, text, true_condition
from lykeion.platform.policies.attempts import action_for
from lykeion.platform.resources.programs import Action, FailureRule

from .pod_spec import CONTAINER

OOM_KILLED, CANNOT_START, TIME_LIMIT = "OOMKilled", "CannotStart", "TimeLimit"
EVICTED, LOST = "Evicted", "Lost"
_CODES = {OOM_KILLED: 137, CANNOT_START: 128}
"""The exit codes that containers have for these reasons."""
_ACTIONS: dict[Action, str] = {"Retry": "Count", "Fail": "FailIndex", "Ignore": "Ignore"}
_BY_NODES = ("DeletionByTaintManager", "DeletionByPodGC")
"""Why pods are disrupted whose node does not answer."""


def pod_failure_policy(rules: Sequence[FailureRule]) -> dict[str, Any]:
    """For a Job with a back-off limit for each index. Disruptions are not counted, unless a rule says otherwise."""
    actions: dict[int, Action] = {code: _action_of_code(rules, code) for code in range(1, 256)}
    return {"rules": [_disruption_rule(rules), *_code_rules(actions)]}


def rules_without_effect(rules: Sequence[FailureRule]) -> tuple[str, ...]:
    """The reasons of rules that a pod failure policy cannot express."""
    known = (*_CODES, EVICTED, LOST)
    named = (reason for rule in rules if rule.action != "Retry" for reason in rule.reasons)
    return tuple(dict.fromkeys(reason for reason in named if reason not in known))


def reason_of(pod: Mapping[str, Any]) -> str:
    """Why a failed pod has failed, in the words of failure rules; empty if its program ended by itself."""
    if disruption := true_condition(pod, "DisruptionTarget"):
        return LOST if disruption.get("reason") in _BY_NODES else EVICTED
    if text(pod, "status", "reason") == "DeadlineExceeded":
        return TIME_LIMIT
    if text(pod, "status", "reason") == "Evicted":
        return EVICTED
    reason = ended_container(pod).get("reason")
    if reason == "OOMKilled":
        return OOM_KILLED
    return CANNOT_START if reason in ("StartError", "ContainerCannotRun") else ""


def ended_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the program's container has ended, as Kubernetes has it; empty if it has not, or is not known."""
    return part(program_container(pod), "state", "terminated")


def program_container(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The status of the program's container; empty if there is none yet."""
    statuses = parts(pod, "status", "containerStatuses")
    return next((each for each in statuses if each.get("name") == CONTAINER), NOTHING)


def _action_of_code(rules: Sequence[FailureRule], code: int) -> Action:
    """A reason counts as the exit code that it has: the first rule with either decides."""
    for rule in rules:
        if code in rule.exit_codes or code in [_CODES.get(reason) for reason in rule.reasons]:
            return rule.action
    return "Retry"


def action_in_job(pod: Mapping[str, Any], rules: Sequence[FailureRule]) -> Action:
    """What a Job with ``pod_failure_policy`` of these rules does about a failed pod."""
    if true_condition(pod, "DisruptionTarget"):
        return _action_of_disruption(rules)
    code = ended_container(pod).get("exitCode")
    return _action_of_code(rules, code) if isinstance(code, int) else "Retry"


def _action_of_disruption(rules: Sequence[FailureRule]) -> Action:
    named: list[Action] = [rule.action for rule in rules if {EVICTED, LOST} & set(rule.reasons)]
    return named[0] if named else "Ignore"


def _disruption_rule(rules: Sequence[FailureRule]) -> dict[str, Any]:
    action = _ACTIONS[_action_of_disruption(rules)]
    return {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def _code_rules(actions: Mapping[int, Action]) -> Iterable[dict[str, Any]]:
    """What is retried needs no rule."""
    acts: tuple[Action, ...] = ("Fail", "Ignore")
    for action in acts:
        if codes := [code for code, each in actions.items() if each == action]:
            found = {"containerName": CONTAINER, "operator": "In", "values": codes}
            yield {"action": _ACTIONS[action], "onExitCodes": found}


def action_of(pod: Mapping[str, Any], rules: Sequence[FailureRule]) -> Action:
    """What follows from a failed pod of programs that run all at once."""
    reason = reason_of(pod)
    if reason in (EVICTED, LOST) and not any(reason in rule.reasons for rule in rules):
        return "Ignore"
    return action_for(rules, ended_container(pod).get("exitCode"), reason)
