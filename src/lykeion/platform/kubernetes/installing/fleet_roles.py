"""The roles that kinds of a fleet of devices need: those of users, and that of the device server. Pure."""

from collections.abc import Iterator, Sequence

from lykeion.control import GROUP, AnyKind

from .object_heads import RBAC, Document, head
from .operator_rules import AccessRule, documents

FLEET = "lykeion-fleet"
"""The ClusterRole of the device server, which whoever runs it binds to its account; and the name of its Lease."""
AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"


def fleet_rules(kinds: Sequence[AnyKind]) -> tuple[AccessRule, ...]:
    """What the device server may do: no more than what it asks for."""
    plurals = tuple(each.plural for each in kinds)
    return (
        AccessRule(GROUP, plurals, ("list", "watch"), "carries them, and tells devices what they are to run"),
        AccessRule(
            GROUP,
            plurals,
            ("get", "create", "patch", "delete"),
            "does what lykeion rollout and lykeion experiment ask of it, beside the fleet",
        ),
        AccessRule(GROUP, tuple(f"{each}/status" for each in plurals), ("patch",), "writes their status"),
        AccessRule("events.k8s.io", ("events",), ("create", "patch"), "records what happens"),
        AccessRule("coordination.k8s.io", ("leases",), ("create",), "takes the Lease of the namespace at first"),
        AccessRule("coordination.k8s.io", ("leases",), ("get", "update"), "one server at a time carries", (FLEET,)),
    )


def fleet_roles(kinds: Sequence[AnyKind]) -> Iterator[Document]:
    """None without kinds."""
    if not kinds:
        return
    plurals = tuple(each.plural for each in kinds)
    seen = AccessRule(
        GROUP, (*plurals, *(f"{each}/status" for each in plurals)), ("get", "list", "watch"), "views show them"
    )
    written = AccessRule(
        GROUP, plurals, ("create", "update", "patch", "delete", "deletecollection"), "whoever may edit writes them"
    )
    yield _role(f"{FLEET}-view", ("view", "edit", "admin"), seen)
    yield _role(f"{FLEET}-edit", ("edit", "admin"), written)
    yield _role(FLEET, (), *fleet_rules(kinds))


def _role(name: str, added_to: Sequence[str], *rules: AccessRule) -> Document:
    labels = {AGGREGATE + each: "true" for each in added_to}
    return {**head(RBAC, "ClusterRole", name, labels=labels), "rules": documents(rules)}
