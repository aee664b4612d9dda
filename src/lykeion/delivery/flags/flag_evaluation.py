"""What flags are for one unit, decided by a server."""

from collections.abc import Mapping
from typing import Any

from lykeion.core.flags import FeatureResult, FlagContext, evaluate_feature

from .flag_compiling import FlagEnvironment, group_values, server_features
from .flag_store import FlagStore


def evaluate_flags(
    environment: FlagEnvironment, attributes: Mapping[str, Any], kept: Mapping[str, Any] | None = None
) -> dict[str, FeatureResult]:
    """By name, as clients with the same attributes decide. ``kept`` has assignments of sticky rules."""
    context = FlagContext(
        attributes, server_features(environment, attributes), group_values(environment), sticky=kept or {}
    )
    return {name: evaluate_feature(context, name) for name in environment.flags}


def flag_values(
    store: FlagStore, environment: FlagEnvironment, attributes: Mapping[str, Any]
) -> dict[str, FeatureResult]:
    """The same for a unit by its ``id``, whose assignments of sticky rules are kept in the store."""
    unit = f"id||{attributes['id']}"
    kept = store.kept(unit)
    found = evaluate_flags(environment, attributes, kept)
    assigned: dict[str, str] = {}
    for each in found.values():
        if each.experiment and unit in each.experiment.keep:
            assigned |= each.experiment.keep[unit]["assignments"]
    before = kept.get(unit, {}).get("assignments", {})
    if not assigned.items() <= before.items():
        whole = {**before, **assigned}
        store.keep({unit: {"attributeName": "id", "attributeValue": attributes["id"], "assignments": whole}})
    return found
