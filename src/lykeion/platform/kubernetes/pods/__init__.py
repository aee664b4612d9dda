"""Pods: what a program's pod is made of, why one waits, and why one failed. Pure."""

from typing import TYPE_CHECKING

from lykeion.core.lazy import lazy

if TYPE_CHECKING:
    from .failure_policy import (
        TIME_LIMIT,
        action_in_job,
        action_of,
        ended_container,
        pod_failure_policy,
        program_container,
        reason_of,
        rules_without_effect,
    )
    from .pod_spec import (
        CONTAINER,
        QUEUE_LABEL,
        REGISTRY_PATH,
        RESULT_PATH,
        PodNeeds,
        literal,
        pod_template,
        queue_of,
        registry_account,
        unsupported_pod,
    )
    from .pod_waits import UNMOUNTED, PodWait, first_wait, refused_pods

__all__ = [
    "CONTAINER", "QUEUE_LABEL", "REGISTRY_PATH", "RESULT_PATH", "TIME_LIMIT", "UNMOUNTED", "PodNeeds", "PodWait",
    "action_in_job", "action_of", "ended_container", "first_wait", "literal", "pod_failure_policy", "pod_template",
    "program_container", "queue_of", "reason_of", "refused_pods", "registry_account", "rules_without_effect",
    "unsupported_pod",
]  # fmt: skip

__getattr__ = lazy(__name__)
