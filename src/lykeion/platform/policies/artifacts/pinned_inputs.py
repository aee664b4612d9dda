"""Inputs and the image are resolved to digests once, before anything runs, so that each attempt has the same."""

from datetime import datetime
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Condition, Decision, Observed
from lykeion.platform.policies.lifecycle import deadlines, finish, progress_events, with_conditions, with_progress
from lykeion.platform.resources.programs import Program

from .artifact_work import ASK_AGAIN_S, Answers, look_up
from .pinned_images import ImageAnswer, is_pinned, look_up_image
from .stages import ROOM


def pin_inputs(resource: AnyResource, status: Any, observed: Observed, now: datetime) -> Decision | None:
    """What to do until the status has all inputs of the spec, and its image, by digest; None if it has."""
    unpinned = {each.name: each.artifact for each in resource.spec.inputs if each.name not in status.inputs}
    image = resource.spec.program.image
    has_image = is_pinned(image, status.image)
    if not unpinned and has_image:
        return None
    answers = look_up(unpinned, observed)
    answer = ImageAnswer() if has_image else look_up_image(image, observed)
    if reads := (*answers.reads, *answer.reads):
        return Decision(resource.status, reads=reads)
    if missing := answers.missing or answer.invalid:
        reason = "InputsNotFound" if answers.missing else "InvalidImage"
        return finish(resource, status, (), now, "Failed", reason, missing)
    if answers.known:
        status = structs.replace(status, inputs={**status.inputs, **answers.references})
    status = structs.replace(status, image=status.image or answer.image)
    if waiting := (*_unanswered(answers), *answer.waiting):
        return await_registry(resource, status, None, waiting, now, begun=False)
    # With the conditions that the next step finds, so that it has no status to write.
    status = with_conditions(resource, with_progress(resource, status, False, now), now, ROOM)
    return Decision(status, events=progress_events(resource, status), requeue_after_s=0)


def with_pinned_image(program: Program, status: Any) -> Program:
    """The program with its image as the status has it."""
    return structs.replace(program, image=status.image) if program.image and status.image else program


def registry_unavailable(message: str) -> Condition:
    return Condition(type="Running", status="False", reason="RegistryUnavailable", message=message)


def await_registry(
    resource: AnyResource,
    status: Any,
    children: tuple[AnyResource, ...] | None,
    waiting: tuple[Condition, ...],
    now: datetime,
    *,
    begun: bool,
) -> Decision:
    """Ask again later, or fail with what the conditions say at a deadline; ``begun`` is that of ``deadlines``."""
    limits = deadlines(resource, status, begun, now)
    if limits.passed:
        cause = "; ".join(each.message for each in waiting)
        return finish(resource, status, children or (), now, "Failed", limits.passed, cause)
    status = with_conditions(resource, status, now, *waiting)
    again_s = ASK_AGAIN_S if limits.again_s is None else min(ASK_AGAIN_S, limits.again_s)
    return Decision(status, children, progress_events(resource, status), requeue_after_s=again_s)


def _unanswered(answers: Answers) -> tuple[Condition, ...]:
    return (registry_unavailable(answers.unavailable),) if answers.unavailable else ()
