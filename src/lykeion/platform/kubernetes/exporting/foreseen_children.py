"""What controllers would create for a resource if all went well: they are called as for a real one, and children end.

Pure: registries and other servers are not asked, so names stay as they are written instead of being pinned.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Condition, Decision, Key, Lookup, Observed, Reconcile, ResourceError, merged
from lykeion.core import Unavailable
from lykeion.platform.composition import CLUSTER_CONTROLLERS
from lykeion.platform.controllers.pipeline_controller import run_of
from lykeion.platform.lookups import FoundModel, ImageDigest, ModelVersion, SourceDigest, SourceVersion
from lykeion.platform.policies.lifecycle import end_of
from lykeion.platform.policies.steps import STEP_LABEL
from lykeion.platform.resources.pipelines import (
    PIPELINE,
    PIPELINE_RUN,
    Pipeline,
    PipelineStep,
    dependencies,
    references,
)
from lykeion.platform.resources.plain_kinds import REPLICA_GROUP, ROUTE, WORK, to_ranges
from lykeion.platform.resources.programs import VOLUME, Program
from lykeion.platform.resources.runs import IMAGE_BUILD

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAX_ROUNDS = 1000
ZERO_DIGEST = "sha256:" + "0" * 64
"""Stands for a digest that is known only when it is built."""
_NAMES = uuid.UUID("6f8f5b0a-5d2c-4a38-9d2e-0c8a5f1d7e11")
_RECONCILE: Mapping[str, Reconcile] = {each.kind.name: each.reconcile for each in CLUSTER_CONTROLLERS}
_KNOWN_LATER = Program(command=("true",))


@dataclass(frozen=True)
class Foreseen:
    """``children`` in the order in which they are created, those of children included; ``notes`` say what is open."""

    children: tuple[AnyResource, ...] = ()
    notes: tuple[str, ...] = ()


def foresee(resource: AnyResource, parameters: Mapping[str, str] | None = None) -> Foreseen:
    """Raises ResourceError if the controller would let it fail, and for parameters that a pipeline has not."""
    if resource.kind is PIPELINE:
        return _of_run(run_of(resource, f"{resource.metadata.name[:58]}-run", parameters), tuple(_when(resource)))
    if resource.kind is PIPELINE_RUN:
        return _of_run(resource, ())
    if resource.kind.name not in _RECONCILE:
        return Foreseen()
    spec = resource.spec
    scheduled = getattr(spec, "schedule", None)
    made = replace(resource, spec=structs.replace(spec, schedule=None)) if scheduled else resource
    notes = (f"at each time of its schedule ({scheduled.cron}), as:",) if scheduled else ()
    return Foreseen(tuple(_Course(made).run().values()), notes)


def _when(pipeline: Pipeline) -> Iterator[str]:
    schedule = pipeline.spec.schedule
    yield f"at each time of its schedule ({schedule.cron}), as:" if schedule else "when it is run, as:"


def _of_run(run: AnyResource, notes: tuple[str, ...]) -> Foreseen:
    spec = run.spec
    remote = {
        each.name: f"step {each.name} runs in the cluster {each.cluster}" for each in spec.steps if each.cluster
    }
    open_steps = {each.name: why for each in spec.steps if (why := _open(each)) and not each.cluster}
    steps = tuple(_closed(step, step.name in {*open_steps, *remote}) for step in spec.steps)
    exits = tuple(structs.replace(each, when=None) for each in spec.exit_steps)
    spec = structs.replace(spec, steps=steps, exit_steps=exits)
    children = _Course(replace(run, spec=spec)).run().values()
    known = tuple(each for each in children if each.metadata.labels.get(STEP_LABEL) not in {*open_steps, *remote})
    conditional = (
        f"step {each.name} runs only when {each.when}"
        for each in (*run.spec.steps, *run.spec.exit_steps)
        if each.when
    )
    later = (f"step {name} is known only when {', '.join(why)} is" for name, why in open_steps.items())
    return Foreseen(known, (*notes, *conditional, *later, *remote.values()))


def _open(step: PipelineStep) -> list[str]:
    """The results of other steps without which nothing can be said of a step."""
    return sorted(each for each in references(step) if ".results." in each)


def _closed(step: PipelineStep, is_open: bool) -> PipelineStep:
    """Without conditions, and without what refers to results; it comes after the same steps."""
    needs = tuple(sorted(dependencies(step)))
    if not is_open:
        return structs.replace(step, when=None, needs=needs)
    return PipelineStep(name=step.name, program=_KNOWN_LATER, needs=needs, outputs=step.kept)


@dataclass
class _Course:
    """A resource and its children on their way, while everything succeeds at once."""

    resource: AnyResource
    children: dict[str, AnyResource] = field(default_factory=dict[str, AnyResource])
    made: dict[str, AnyResource] = field(default_factory=dict[str, AnyResource])
    """Every child as it was first created; of groups, routes and what runs by itself as it was last."""

    def __post_init__(self) -> None:
        uid = self.resource.metadata.uid or str(uuid.uuid5(_NAMES, str(self.resource.key)))
        metadata = structs.replace(self.resource.metadata, uid=uid, generation=1, creation_timestamp=NOW)
        self.resource = replace(self.resource, metadata=metadata)

    def run(self) -> dict[str, AnyResource]:
        """All children by name. Raises ResourceError if the resource fails."""
        for _ in range(MAX_ROUNDS):
            before = self.resource.status, dict(self.children)
            decision = self._decided()
            self.resource = self.resource.with_status(decision.status)
            if decision.children is not None:
                self._take(decision.children)
            if before == (self.resource.status, self.children) or self._ended():
                break
        return self.made

    def _decided(self) -> Decision:
        read: dict[Key | Lookup, Any] = {}
        while True:
            observed = Observed(tuple(self.children.values()), read)
            decision = _RECONCILE[self.resource.kind.name](self.resource, observed, NOW)
            missing = [each for each in decision.reads if each not in read]
            if not missing:
                return decision
            read |= {each: _answer(each) for each in missing}

    def _take(self, wanted: tuple[AnyResource, ...]) -> None:
        for each in wanted:
            name = each.metadata.name
            if name not in self.children and name not in self.made:
                self.made |= self._grown(each)
            elif each.kind in (REPLICA_GROUP, ROUTE):
                self.made[name] = each
        self.children = {each.metadata.name: self._successful(each) for each in wanted}

    def _grown(self, child: AnyResource) -> dict[str, AnyResource]:
        """A child with its own."""
        if child.kind.name not in _RECONCILE:
            return {child.metadata.name: child}
        label = child.metadata.labels.get(STEP_LABEL)
        inner = _Course(child).run()
        return {child.metadata.name: child} | {
            name: _labelled(each, label) if label else each for name, each in inner.items()
        }

    def _successful(self, child: AnyResource) -> AnyResource:
        if child.kind.name in _RECONCILE:
            course = _Course(child)
            course.run()
            return course.resource
        status: Any = child.status
        if child.kind is WORK:
            result = ZERO_DIGEST if self.resource.kind is IMAGE_BUILD else ""
            every = to_ranges(range(child.spec.completions))
            status = structs.replace(status, attempts=1, succeeded=every, result=result)
        if child.kind is REPLICA_GROUP:
            status = structs.replace(status, replicas=child.spec.replicas, ready=child.spec.replicas)
        if child.kind is ROUTE:
            status = structs.replace(status, url=f"http://{child.spec.service}")
        if child.kind in (WORK, VOLUME):
            goal = "Complete" if child.kind is WORK else "Ready"
            status = structs.replace(status, conditions=merged((), NOW, Condition(type=goal, status="True")))
        return child.with_status(status)

    def _ended(self) -> bool:
        end = end_of(self.resource.status.conditions)
        if end and end.type == "Failed":
            raise ResourceError(f"{self.resource.key}: {end.message or end.reason}")
        return end is not None


def _labelled(child: AnyResource, label: str) -> AnyResource:
    """With the step of the resource that owns it, by which it is found."""
    labels = {**child.metadata.labels, STEP_LABEL: label}
    return replace(child, metadata=structs.replace(child.metadata, labels=labels))


def _answer(asked: Key | Lookup) -> Any:
    match asked:
        case ModelVersion(reference=reference):
            return FoundModel(reference, ZERO_DIGEST)
        case SourceDigest():
            return SourceVersion(asked.directory or asked.revision, ZERO_DIGEST)
        case ImageDigest():
            return ""
        case Key():
            return None
        case _:
            return Unavailable("not asked")
