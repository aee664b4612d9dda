"""Serving: one version serves; where the spec asks for another, it is rolled out, and rolled back if it does harm."""

from datetime import datetime, timedelta
from functools import partial

from msgspec import structs

from lykeion.control import Decision, Lookup, Observed, ResourceController
from lykeion.core import LykeionError
from lykeion.platform.lookups import FoundModel, ImageDigest, ModelVersion
from lykeion.platform.policies.artifacts import is_pinned, look_up_image
from lykeion.platform.policies.rollouts import IN_A_CLUSTER, ON_A_MACHINE, ServingPlace, seconds_until_due
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, ROUTE, WORK
from lykeion.platform.resources.programs import VOLUME
from lykeion.platform.resources.servings import (
    SERVING,
    FoundVersion,
    IndexToServe,
    ModelToServe,
    ServedImage,
    Serving,
    ServingStatus,
)

from .serving_children import serving_children
from .serving_load import load_lookups, seconds_until_scaling, with_evidence, with_replicas
from .serving_report import reported, serving_events
from .serving_rollouts import with_progress, with_stable, with_target, with_verbs
from .serving_view import ServingView

IMAGE_AGAIN_S = 30.0
"""Between two looks for an image that could not be found."""


def reconcile_serving(
    serving: Serving, observed: Observed, now: datetime, place: ServingPlace = ON_A_MACHINE
) -> Decision:
    lookups = _lookups(ServingView(serving, observed, serving.status.found, place, serving.status.image), now)
    if any(each not in observed.read for each in lookups):
        return Decision(serving.status, reads=lookups)
    found = _found(serving, observed, now)
    image = _image(ServingView(serving, observed, found, place, serving.status.image))
    status = structs.replace(serving.status, found=found, image=image)
    view = ServingView(serving, observed, found, place, image)
    status = with_evidence(view, status, now)
    status = with_stable(view, status)
    status = with_replicas(view, status, now)
    status = with_verbs(view, status, now)
    status = with_target(view, status, now)
    status = with_progress(view, status, now)
    status = reported(view, status, now)
    events = serving_events(serving.status, status)
    return Decision(status, serving_children(view, status), events, _due_s(serving, status, now))


SERVINGS = ResourceController(SERVING, (REPLICA_GROUP, ROUTE, VOLUME, WORK), reconcile_serving)
CLUSTER_SERVINGS = ResourceController(
    SERVING, (REPLICA_GROUP, ROUTE, VOLUME, WORK), partial(reconcile_serving, place=IN_A_CLUSTER)
)


def _lookups(view: ServingView, now: datetime) -> tuple[Lookup, ...]:
    serving, followed = view.serving, view.serving.spec.followed
    version = [ModelVersion(str(followed.reference))] if followed and _version_due(serving, followed, now) else []
    asked = _image_to_find(view)
    return (*version, *([ImageDigest(asked)] if asked else []), *load_lookups(view, now))


def _version_due(serving: Serving, followed: ModelToServe | IndexToServe, now: datetime) -> bool:
    found = serving.status.found
    if found is None or found.reference != followed.reference:
        return True
    return found.looked + timedelta(seconds=followed.check_seconds) <= now


def _found(serving: Serving, observed: Observed, now: datetime) -> FoundVersion | None:
    """What the registry said last; if it does not answer, the version stays that was found before."""
    followed, before = serving.spec.followed, serving.status.found
    if followed is None:
        return None
    if not _version_due(serving, followed, now):
        return before
    reference = str(followed.reference)
    answer = observed.read[ModelVersion(reference)]
    if isinstance(answer, FoundModel):
        return FoundVersion(reference=reference, artifact=answer.reference, looked=now)
    error = str(answer) if isinstance(answer, LykeionError) else f"the registry has no {reference}"
    kept = before.artifact if before and before.reference == reference else ""
    return FoundVersion(reference=reference, artifact=kept, looked=now, error=error[:512])


def _image_to_find(view: ServingView) -> str:
    """The image of the program, if it is not known by its digest yet; an empty string for none.

    A version that began by a tag, under an earlier release, goes on so until the spec names another.
    """
    program, known, stable = view.serving.spec.program, view.serving.status.image, view.serving.status.stable
    if program is None or is_pinned(program.image, "") or (known and known.named == program.image and known.image):
        return ""
    begun = known is None and stable is not None and view.wanted is not None and stable.hash == view.wanted.hash
    return "" if begun else program.image or ""


def _image(view: ServingView) -> ServedImage | None:
    """None for a program without an image, or with one by its digest."""
    asked, program, known = _image_to_find(view), view.serving.spec.program, view.serving.status.image
    if asked:
        found = look_up_image(asked, view.observed)
        return ServedImage(named=asked, image=found.image, error=str(found.error or "")[:512])
    return known if known and program and known.named == program.image else None


def _due_s(serving: Serving, status: ServingStatus, now: datetime) -> float | None:
    spec = serving.spec
    due = [seconds_until_scaling(status, now)]
    if spec.followed and status.found:
        due.append((status.found.looked + timedelta(seconds=spec.followed.check_seconds) - now).total_seconds())
    if status.image and status.image.error:
        due.append(IMAGE_AGAIN_S)
    if status.rollout:
        due.append(seconds_until_due(status.rollout, spec.canary, spec.progress_deadline_seconds, now))
    return min((each for each in due if each is not None), default=None)
