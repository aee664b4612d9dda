"""A Serving and what a platform makes of its decisions, in memory."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import structs

from lykeion.control import AnyResource, Condition, Decision, Lookup, Observed
from lykeion.control.difference import difference
from lykeion.platform.controllers.serving_controller import reconcile_serving
from lykeion.platform.lookups import GroupCounts, PrometheusCounts, ReplicaCounts, RouteCounts
from lykeion.platform.policies.rollouts.serving_place import ON_A_MACHINE, ServingPlace
from lykeion.platform.resources.plain_kinds.replica_group import REPLICA_GROUP, ReplicaGroup, ReplicaGroupStatus
from lykeion.platform.resources.plain_kinds.route import ROUTE, Route, RouteStatus
from lykeion.platform.resources.plain_kinds.work import WORK, WorkStatus
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.servings.serving import SERVING, Serving, ServingSpec, ServingStatus

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def server(version: str = "one") -> Program:
    return Program(command=("server", version))


def serving(**spec: Any) -> Serving:
    made = SERVING.new("shop", ServingSpec(**({"program": server()} | spec)))
    return replace(made, metadata=structs.replace(made.metadata, uid="shop-uid", generation=1))


class Killed(Exception):
    """The controller ended between two writes."""


@dataclass
class World:
    """One Serving with its children; ``answers`` are those of lookups."""

    serving: Serving
    now: datetime = NOON
    children: dict[str, AnyResource] = field(default_factory=dict[str, AnyResource])
    answers: dict[Lookup, Any] = field(default_factory=dict[Lookup, Any])
    counts: dict[str, GroupCounts] = field(default_factory=dict[str, GroupCounts])
    events: list[str] = field(default_factory=list[str])
    checks: bool = True
    """After every write."""
    place: ServingPlace = ON_A_MACHINE
    writes: int = 0
    """Before the controller is killed; 0 for never."""

    def change(self, **spec: Any) -> None:
        metadata = structs.replace(self.serving.metadata, generation=self.serving.metadata.generation + 1)
        self.serving = replace(self.serving, spec=structs.replace(self.serving.spec, **spec), metadata=metadata)

    def decide(self) -> Decision:
        read: dict[Any, Any] = {}
        while True:
            observed = Observed(tuple(self.children.values()), read)
            decision = reconcile_serving(self.serving, observed, self.now, self.place)
            missing = [each for each in decision.reads if each not in read]
            if not missing:
                return decision
            read |= {each: self._answer(each) for each in missing}

    def _answer(self, asked: Any) -> Any:
        if isinstance(asked, PrometheusCounts | ReplicaCounts):
            named = asked.requests if isinstance(asked, PrometheusCounts) else asked.group
            groups = (group for group in self.counts if group in named)
            return self.counts.get(next(groups, ""), GroupCounts("proxy", 0, 0, 0, {}))
        return self.answers.get(asked, {} if isinstance(asked, RouteCounts) else None)

    def step(self) -> Decision:
        """One reconciliation. Raises Killed after ``writes`` writes."""
        decision = self.decide()
        needed = difference(decision.children or (), tuple(self.children.values()))
        for each in needed.delete:
            del self.children[each.metadata.name]
            self._written()
        for each in needed.apply:
            there = self.children[each.metadata.name]
            self.children[each.metadata.name] = replace(there, spec=each.spec)
            self._written()
        for each in needed.create:
            self.children[each.metadata.name] = each
            self._written()
        if decision.status != self.serving.status:
            self.serving = self.serving.with_status(decision.status)
            self._written()
            self.events += [each.reason for each in decision.events]
        return decision

    def settle(self, *, ready: bool = True) -> None:
        """Reconcile until nothing changes; replicas are ready and commands succeed as soon as they are asked for."""
        for _ in range(60):
            before = (self.serving, dict(self.children))
            if ready:
                self.run_children()
            self.step()
            if before == (self.serving, self.children):
                return
        raise AssertionError("it does not come to rest")

    def run_children(self) -> None:
        for each in list(self.children.values()):
            if each.kind is REPLICA_GROUP:
                self.report(each, replicas=each.spec.replicas, ready=each.spec.replicas)
            elif each.kind is ROUTE:
                self.children[each.metadata.name] = each.with_status(RouteStatus(url=f"http://{each.spec.service}"))
            elif each.kind is WORK and not each.status.failed:
                done = Condition(type="Complete", status="True")
                self.children[each.metadata.name] = each.with_status(WorkStatus(succeeded="0", conditions=(done,)))

    def report(self, group: ReplicaGroup, **status: Any) -> None:
        changed = structs.replace(self.children[group.metadata.name].status, **status)
        self.children[group.metadata.name] = group.with_status(changed)

    def scale(self, group: ReplicaGroup, replicas: int) -> None:
        """As a cluster's autoscaler does it."""
        changed = structs.replace(group.spec, replicas=replicas)
        self.children[group.metadata.name] = replace(group, spec=changed)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def go_on(self, seconds: float) -> None:
        """Let time pass; the controller is called when it asks for it."""
        end = self.now + timedelta(seconds=seconds)
        self.settle()
        while self.now < end:
            due_s = self.decide().requeue_after_s
            self.now = end if due_s is None else min(end, self.now + timedelta(seconds=max(1.0, due_s)))
            self.settle()

    def serve(self, seconds: int, **failures: float) -> None:
        """Traffic of 50 requests a second, of which the share ``failures`` fails, by version."""
        for _ in range(seconds // 10):
            for version, weight in self.weights.items():
                group = self.group(version)
                assert group
                before = self.counts.get(group.metadata.name, GroupCounts("proxy", 0, 0, 0, {}))
                requests = round(500 * weight / 100)
                self.counts[group.metadata.name] = replace(
                    before,
                    requests=before.requests + requests,
                    failures=before.failures + round(requests * failures.get(version, 0.01)),
                )
            self.answers[RouteCounts("default", self.route.metadata.name)] = dict(self.counts)
            self.go_on(10)

    @property
    def status(self) -> ServingStatus:
        return self.serving.status

    @property
    def groups(self) -> list[ReplicaGroup]:
        return [each for each in self.children.values() if each.kind is REPLICA_GROUP]

    def group(self, version: str) -> ReplicaGroup | None:
        return next((each for each in self.groups if each.spec.program.command[-1] == version), None)

    @property
    def route(self) -> Route:
        return next(each for each in self.children.values() if each.kind is ROUTE and each.spec.service == "shop")

    @property
    def weights(self) -> dict[str, int]:
        """By the version of the server, those that are not 0."""
        by_group = {each.group: each.weight for each in self.route.spec.groups}
        versions = {each.metadata.name: each.spec.program.command[-1] for each in self.groups}
        return {versions[group]: weight for group, weight in by_group.items() if weight}

    def _written(self) -> None:
        if self.checks:
            self.check()
        self.writes -= 1
        if self.writes == 0:
            raise Killed

    def check(self) -> None:
        """What holds after every single write."""
        templates = [structs.replace(each.spec, replicas=0, autoscaling=None) for each in self.groups]
        assert all(templates.count(each) == 1 for each in templates), "two groups of one version"
        assert len(msgspec.json.encode(self.status)) < 64 << 10
        has_replicas = {each.metadata.name for each in self.groups if each.spec.replicas}
        for route in (each for each in self.children.values() if each.kind is ROUTE):
            assert sum(each.weight for each in route.spec.groups) == 100
            for each in route.spec.groups:
                assert each.group in self.children or not each.weight
                assert each.group in has_replicas or not each.weight or not has_replicas


__all__ = ["NOON", "Killed", "ReplicaGroupStatus", "World", "server", "serving"]
