"""ImageBuild: looks at its source, builds what has changed, and reports the image by digest.

It never finishes: like a Serving it follows its spec and its source. Ready tells whether the last image is theirs.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import structs

from lykeion.control import AnyResource, Condition, Decision, Event, Observed, ResourceController
from lykeion.core import LykeionError, NotFound
from lykeion.platform.lookups import FoundModel, SourceVersion
from lykeion.platform.policies.artifacts import (
    ASK_AGAIN_S,
    StageProgress,
    advance,
    build_key,
    build_part,
    lookup_of,
    source_volumes,
    stages_of,
)
from lykeion.platform.policies.lifecycle import left_s, with_conditions, with_progress
from lykeion.platform.resources.plain_kinds import WORK, Work
from lykeion.platform.resources.programs import VOLUME
from lykeion.platform.resources.runs import (
    IMAGE_BUILD,
    FoundSource,
    ImageBuild,
    ImageBuildStatus,
    OneBuild,
    PastBuild,
)

KEPT = 10
_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def reconcile_image_build(build: ImageBuild, observed: Observed, now: datetime) -> Decision:
    status: ImageBuildStatus = build.status
    if _is_due(build, observed, now):
        asked = lookup_of(build.spec)
        if asked not in observed.read:
            return Decision(status, reads=(asked,))
        status = structs.replace(status, source=_found(build, observed.read[asked], now))
    status = _begun(build, status, now)
    if status.running is None:
        return _decided(build, status, () if build.status.running else None, None, now)
    return _followed(build, status, status.running, observed, now)


IMAGE_BUILDS = ResourceController(IMAGE_BUILD, (WORK, VOLUME), reconcile_image_build)


def _is_due(build: ImageBuild, observed: Observed, now: datetime) -> bool:
    """Whether to look at the source: at first, after each interval, and when a build has ended."""
    spec, source = build.spec, build.status.source
    if spec.suspend:
        return False
    if source is None or build.status.observed_generation != build.metadata.generation:
        return True
    return _look_again_s(build, source, now) == 0 or _has_built(build, observed)


def _look_again_s(build: ImageBuild, source: FoundSource, now: datetime) -> float | None:
    interval = build.spec.interval_seconds
    if source.error and interval is None:
        interval = int(ASK_AGAIN_S)
    return None if interval is None else left_s(source.looked, interval, now)


def _has_built(build: ImageBuild, observed: Observed) -> bool:
    """Of a directory, which may have changed since; what is fetched is pinned."""
    run, pinned = build.status.running, not build.spec.source.directory
    return run is not None and not pinned and advance(build, stages_of(build, run), observed).state == "Complete"


def _found(build: ImageBuild, answer: object, now: datetime) -> FoundSource:
    if isinstance(answer, FoundModel | SourceVersion):
        return FoundSource(looked=now, reference=answer.reference, digest=answer.digest)
    missing = isinstance(answer, NotFound) or answer is None
    before = build.status.source or FoundSource(looked=now)
    error = str(answer) if isinstance(answer, LykeionError) else "the source is not there"
    if missing:
        return FoundSource(looked=now, error=error[:512])
    return structs.replace(before, looked=now, error=error[:512])


def _begun(build: ImageBuild, status: ImageBuildStatus, now: datetime) -> ImageBuildStatus:
    """With the build that the source and the spec ask for, unless it was done or has failed.

    One that runs ends if the spec or the directory has changed; if there is a new commit or version, it goes on.
    """
    source, run, spec = status.source, status.running, build.spec
    if spec.suspend:
        return structs.replace(status, running=None)
    if run and run.key != build_key(spec, run.source.digest):
        status, run = structs.replace(status, running=None), None
    if source is None or not source.digest or source.error:
        return status
    key = build_key(spec, source.digest)
    if run and (run.key == key or not spec.source.directory):
        return status
    if status.history and key == status.history[-1].key:
        return structs.replace(status, running=None)
    number = status.builds + 1
    return structs.replace(status, builds=number, running=OneBuild(number=number, key=key, source=source, since=now))


def _followed(
    build: ImageBuild, status: ImageBuildStatus, run: OneBuild, observed: Observed, now: datetime
) -> Decision:
    progress = advance(build, stages_of(build, run), observed)
    image = ""
    if progress.state == "Complete":
        work: Work = progress.present[build_part(run)]
        image = work.status.result.strip()
        if not _DIGEST.fullmatch(image):
            return _ended(build, status, run, progress, now, "BuildFailed", "the build reported no digest")
        progress = advance(build, stages_of(build, run, image), observed)
    if progress.state == "Complete":
        return _ended(build, status, run, progress, now, "", "", image)
    if progress.state == "Failed":
        return _ended(build, status, run, progress, now, progress.reason, progress.message)
    if not left_s(run.since, build.spec.deadline_seconds, now):
        message = progress.lacking or f"after {build.spec.deadline_seconds} s"
        return _ended(build, status, run, progress, now, "DeadlineExceeded", message)
    return _decided(build, status, (*source_volumes(build, run), *progress.children), progress, now)


def _ended(
    build: ImageBuild,
    status: ImageBuildStatus,
    run: OneBuild,
    progress: StageProgress,
    now: datetime,
    reason: str,
    message: str,
    image: str = "",
) -> Decision:
    """The programs stay until the next build begins, with their logs; what has not ended is stopped."""
    outcome: Literal["Built", "Failed"] = "Failed" if reason else "Built"
    past = PastBuild(
        number=run.number,
        key=run.key,
        source=run.source.digest,
        outcome=outcome,
        at=now,
        digest=image,
        reason=reason,
        message=message[:512],
    )
    status = structs.replace(status, running=None, history=(*status.history, past)[-KEPT:])
    if not reason:
        name = next(iter((*build.spec.push, *build.spec.tags)))
        status = structs.replace(status, image=f"{name}@{image}", digest=image, build=build.spec.build)
    children = tuple(_stopped(each) for each in progress.children)
    return _decided(build, status, children, None, now)


def _stopped(work: AnyResource) -> AnyResource:
    return type(work)(work.kind, work.metadata, structs.replace(work.spec, stop=True), work.status)


def _decided(
    build: ImageBuild,
    status: ImageBuildStatus,
    children: Sequence[AnyResource] | None,
    progress: StageProgress | None,
    now: datetime,
) -> Decision:
    status = structs.replace(status, observed_generation=build.metadata.generation)
    notices = progress.notices if progress else ()
    status = with_progress(build, status, progress is not None and progress.active, now)
    status = with_conditions(build, status, now, _ready(build, status), *notices)
    due = [_look_again_s(build, status.source, now)] if status.source and not build.spec.suspend else []
    due += [left_s(status.running.since, build.spec.deadline_seconds, now)] if status.running else []
    again_s = min((each for each in due if each is not None), default=None)
    kept = None if children is None else tuple(children)
    return Decision(status, kept, tuple(_events(build.status, status)), requeue_after_s=again_s)


def _ready(build: ImageBuild, status: ImageBuildStatus) -> Condition:
    """Whether the last image was built from what the source and the spec are now."""
    source, last = status.source, status.history[-1] if status.history else None
    if source is None:
        return Condition(type="Ready", status="Unknown", reason="NotLooked")
    if source.error:
        reason = "SourceUnavailable" if source.digest else "SourceNotFound"
        return Condition(type="Ready", status="False", reason=reason, message=source.error)
    if status.running or last is None or last.key != build_key(build.spec, source.digest):
        reason = "Suspended" if build.spec.suspend else "Building"
        return Condition(type="Ready", status="Unknown", reason=reason, message=source.reference[:1024])
    if last.outcome == "Failed":
        return Condition(type="Ready", status="False", reason=last.reason, message=last.message)
    return Condition(type="Ready", status="True", reason="Built", message=status.image)


def _events(before: ImageBuildStatus, after: ImageBuildStatus) -> list[Event]:
    events: list[Event] = []
    run = after.running
    if run and run != before.running:
        events.append(Event("Normal", "BuildStarted", f"build {run.number}, of {run.source.reference}"))
    known = {each.number for each in before.history}
    for each in after.history:
        if each.number not in known and each.outcome == "Built":
            events.append(Event("Normal", "Built", f"build {each.number}: {after.image}"))
        elif each.number not in known:
            events.append(Event("Warning", each.reason, f"build {each.number}: {each.message}"))
    if after.source and after.source.error and (before.source is None or before.source.error != after.source.error):
        events.append(Event("Warning", "SourceUnavailable", after.source.error))
    return events
