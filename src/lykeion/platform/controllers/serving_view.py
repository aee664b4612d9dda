"""What a Serving's controller sees: the version that the spec asks for, and the children of each version."""

import math
from dataclasses import dataclass
from functools import cached_property

from msgspec import structs

from lykeion.control import AnyResource, Observed, child_name, condition_of, is_true
from lykeion.platform.policies.rollouts import ON_A_MACHINE, ServingPlace, template, template_hash, weight_of_next
from lykeion.platform.resources.plain_kinds import ReplicaGroup, ReplicaGroupSpec, Route, WeightedGroup, Work
from lykeion.platform.resources.servings import (
    MAX_STEPS,
    FoundVersion,
    RolloutStatus,
    ServedImage,
    Serving,
    ServingVersion,
)


@dataclass(frozen=True)
class ServingView:
    """``found`` is the version in the registry, None if the spec refers to none; ``image`` that of its program."""

    serving: Serving
    observed: Observed
    found: FoundVersion | None
    place: ServingPlace = ON_A_MACHINE
    image: ServedImage | None = None

    @cached_property
    def template(self) -> ReplicaGroupSpec | None:
        """Of the version that the spec asks for; None while its artifact or image is not known."""
        artifact = self.found.artifact if self.found else ""
        if self.serving.spec.followed and not artifact:
            return None
        spec = self.serving.spec
        if self.image and not self.image.image:
            return None
        if self.image and spec.program:
            spec = structs.replace(spec, program=structs.replace(spec.program, image=self.image.image))
        return template(spec, artifact, child_name(self.serving, f"index {artifact}"), self.place)

    @cached_property
    def wanted(self) -> ServingVersion | None:
        if self.template is None:
            return None
        return ServingVersion(hash=template_hash(self.template), artifact=self.found.artifact if self.found else "")

    def group_name(self, version: ServingVersion) -> str:
        return child_name(self.serving, f"group {version.hash}")

    def group(self, version: ServingVersion | None) -> ReplicaGroup | None:
        return version and self.observed.child(self.group_name(version))

    def group_spec(self, version: ServingVersion) -> ReplicaGroupSpec | None:
        """As the group has it, or as the spec asks for it; None for an earlier version whose group is gone."""
        if group := self.group(version):
            return group.spec
        return self.template if version == self.wanted else None

    def fetch(self, version: ServingVersion) -> Work | None:
        """The command that fetches the version's index."""
        return self.observed.child(self.fetch_name(version))

    def fetch_name(self, version: ServingVersion) -> str:
        return child_name(self.serving, f"fetch {version.artifact}")

    def can_start(self, version: ServingVersion) -> bool:
        """Whether the version's index is there, if it has one of the registry."""
        group, spec, fetch = self.group(version), self.group_spec(version), self.fetch(version)
        if (group and group.spec.replicas) or (spec and not spec.mounts):
            return True
        return fetch is not None and is_true(fetch.status.conditions, "Complete")

    def trouble(self, version: ServingVersion) -> str:
        """Why replicas may not be ready: no room, an index that cannot be fetched, or how the last one ended."""
        group, fetch = self.group(version), self.fetch(version)
        if lacking := no_room(group) or no_room(fetch):
            return lacking
        if fetch and fetch.status.failures and not self.can_start(version):
            return f"the index cannot be fetched: {fetch.status.failures[-1].words()}"
        return f"the last that ended: {group.status.last_exit}" if group and group.status.last_exit else ""

    def ready(self, version: ServingVersion | None) -> int:
        group = self.group(version)
        return group.status.ready if group else 0

    @property
    def nameless(self) -> bool:
        """Whether its place cannot give it a name: Kubernetes' Services have a letter first (RFC 1035)."""
        return self.place.scales and self.serving.metadata.name[0].isdigit()

    @property
    def route(self) -> Route | None:
        return self.observed.child(self.route_name)

    @property
    def route_name(self) -> str:
        return child_name(self.serving, "route")

    def preview_name(self, rollout: RolloutStatus) -> str:
        """Of the route to the new version alone."""
        return child_name(self.serving, f"preview {rollout.number}")

    def has_weight(self, rollout: RolloutStatus) -> bool:
        """Whether the route gives the new version the weight that the rollout says."""
        weight = WeightedGroup(group=self.group_name(rollout.version), weight=rollout.weight)
        return self.route is not None and weight in self.route.spec.groups

    def url(self, route_name: str) -> str:
        route: Route | None = self.observed.child(route_name)
        return route.status.url if route else ""

    def verify_name(self, rollout_number: int, step: int) -> str:
        return child_name(self.serving, f"verify {rollout_number} {step}")

    def verifications(self, rollout_number: int) -> list[Work]:
        """The commands that have been run in a rollout."""
        found = (self.observed.child(self.verify_name(rollout_number, step)) for step in range(MAX_STEPS))
        return [each for each in found if each]

    def replicas_of_new(self, rollout: RolloutStatus, full: int) -> int:
        """Of the new version in this step; it never shrinks during a rollout."""
        group = self.group(rollout.version)
        step = math.ceil(full * weight_of_next(rollout, self.serving.spec.canary) / 100)
        return max(step, group.spec.replicas if group else 0)


def no_room(child: AnyResource | None) -> str:
    """What a child's programs lack on the machine, if anything."""
    found = child and condition_of(child.status.conditions, "Unschedulable")
    return found.message if found and found.status == "True" else ""
