"""A controller carried on by hand: children are kept as it decides, and a test says how each of them fares."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from msgspec import structs

from lykeion.control import AnyResource, Condition, Decision, Event, Key, Lookup, Observed, Reconcile, merged

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class Acting:
    """``answers`` are those of lookups and keys; ``decide`` is one call of the controller, its reads included."""

    reconcile: Reconcile
    resource: AnyResource
    answers: Mapping[Key | Lookup, Any] = field(default_factory=dict[Key | Lookup, Any])
    children: dict[str, AnyResource] = field(default_factory=dict[str, AnyResource])
    events: list[Event] = field(default_factory=list[Event])

    def decide(self, now: datetime = NOON) -> Decision:
        read: dict[Key | Lookup, Any] = {}
        while True:
            decision = self.reconcile(self.resource, Observed(tuple(self.children.values()), read), now)
            missing = [each for each in decision.reads if each not in read]
            if not missing:
                break
            read |= {each: self.answers.get(each) for each in missing}
        self.resource = self.resource.with_status(decision.status)
        self.events += decision.events
        if decision.children is not None:
            before = self.children
            self.children = {each.metadata.name: _kept(each, before) for each in decision.children}
        return decision

    def works(self, word: str = "") -> list[AnyResource]:
        """Those whose program or arguments have the word."""
        works = [each for each in self.children.values() if each.kind.name == "Work"]
        return [each for each in works if not word or word in (*each.spec.program.command, *each.spec.program.args)]

    def fares(self, work: AnyResource, end: str = "", **status: Any) -> None:
        """``end`` is Complete or Failed, if it has ended."""
        conditions = merged((), NOON, Condition(type=end, status="True")) if end else ()
        changed = structs.replace(work.status, conditions=conditions, **status)
        self.children[work.metadata.name] = work.with_status(changed)


def _kept(child: AnyResource, before: Mapping[str, AnyResource]) -> AnyResource:
    old = before.get(child.metadata.name)
    return replace(child, status=old.status) if old else child
