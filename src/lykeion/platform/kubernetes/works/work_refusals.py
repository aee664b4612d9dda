"""What of a Work a cluster cannot do: said before anything runs, since it must not differ in silence. Pure."""

import re
from collections.abc import Iterable

from lykeion.control import Resource
from lykeion.platform.kubernetes.objects import JOB_SETS, ClusterFacts
from lykeion.platform.kubernetes.pods import TIME_LIMIT, rules_without_effect, unsupported_pod
from lykeion.platform.resources.plain_kinds import WorkSpec, WorkStatus
from lykeion.platform.resources.programs import Program
from lykeion.platform.resources.runs import without_item

LIMIT_VALUES_BYTES = 1_000_000
"""Of a ConfigMap, which holds 1 MiB in all."""
_REFERENCE = re.compile(r"\$\$|\$\(LYKEION_(?:VALUE|SHARD)\)")


def refusal(work: Resource[WorkSpec, WorkStatus], facts: ClusterFacts) -> str:
    """Why the cluster cannot run a Work; an empty string if it can."""
    spec = work.spec
    if wrong := unsupported_pod(spec.program, facts):
        return wrong
    if len(spec.roles) > 1 and not facts.has(JOB_SETS):
        return "programs with several roles need JobSet, which this cluster does not have"
    if spec.mounts and at_once(spec) > 1 and not facts.profile.storage.shared:
        return (
            f"{at_once(spec)} pods at a time cannot mount volume {spec.mounts[0].volume}: the cluster's profile says "
            "that its volumes are not shared; set its storage, or parallelism: 1"
        )
    if sum(len(each.encode()) for each in spec.values) > LIMIT_VALUES_BYTES:
        return f"the items have more than {LIMIT_VALUES_BYTES} bytes, which a ConfigMap does not hold"
    if spec.values and (where := _names_item(without_item(spec.program))):
        return f"{where} names $(LYKEION_SHARD), which a cluster does not know: read the file $LYKEION_SHARD_FILE"
    return ""


def at_once(spec: WorkSpec) -> int:
    """How many pods run at a time."""
    return min(spec.parallelism, spec.completions)


def without_effect(spec: WorkSpec) -> str:
    """The fields that have no effect, for the condition Ignored."""
    reasons = (
        each for each in rules_without_effect(spec.on_failure) if spec.time_limit_seconds or each != TIME_LIMIT
    )
    return ", ".join(f"onFailure[].reasons: {each}" for each in reasons)


def _names_item(program: Program) -> str:
    """Where the program names its item as a variable; an empty string if nowhere."""
    parts: Iterable[tuple[str, Iterable[str]]] = (
        ("command", program.command),
        ("args", program.args),
        ("env", (each.value for each in program.env)),
    )
    return next((name for name, words in parts if any(map(_names, words))), "")


def _names(word: str) -> bool:
    return any(found[0] != "$$" for found in _REFERENCE.finditer(word))
