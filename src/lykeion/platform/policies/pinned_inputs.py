"""Inputs are resolved to digests once, before anything runs, so that each attempt has the same."""

from datetime import datetime
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Condition, Decision, Observed

from .artifact_work import ASK_AGAIN_S, look_up
from .completion import finish, progress_events, with_conditions


def pin_inputs(resource: AnyResource, status: Any, observed: Observed, now: datetime) -> Decision | None:
    """What to do until the status has all inputs of the spec by digest; None if it has."""
    unpinned = {each.name: each.artifact for each in resource.spec.inputs if each.name not in status.inputs}
    if not unpinned:
        return None
    answers = look_up(unpinned, observed)
    if answers.reads:
        return Decision(resource.status, reads=answers.reads)
    if answers.missing:
        return finish(resource, status, (), now, "Failed", "InputsNotFound", answers.missing)
    if answers.unavailable:
        return await_registry(resource, status, None, answers.unavailable, now)
    status = structs.replace(status, inputs={**status.inputs, **answers.references})
    return Decision(status, events=progress_events(resource, status), requeue_after_s=0)


def await_registry(
    resource: AnyResource, status: Any, children: tuple[AnyResource, ...] | None, message: str, now: datetime
) -> Decision:
    """Ask again later; the condition Running says why."""
    waiting = Condition(type="Running", status="False", reason="RegistryUnavailable", message=message)
    status = with_conditions(resource, status, now, waiting)
    return Decision(status, children, progress_events(resource, status), requeue_after_s=ASK_AGAIN_S)
