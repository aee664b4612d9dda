"""What a device is told to run: of each model the version that rollouts and pins say, as the target of its class."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from lykeion.core.expression import Expression, WhereError
from lykeion.core.grammar import parse
from lykeion.core.matching import matches
from lykeion.delivery.device_service.records import FleetRecord, as_fleet_device, asked_log, note_told
from lykeion.delivery.device_service.store import FleetStore
from lykeion.delivery.experiments import Experiment
from lykeion.delivery.rollouts import Rollout, desired_version
from lykeion.device import MAX_FLAGS, DesiredState, SignedTarget

from .device_arms import flags_by_experiments, number_by_experiment
from .device_flag_values import FlagsOf, no_flags
from .published_catalogue import CatalogueEntry, PublishedCatalogue

POLL_S = 900


def desired_state(
    store: FleetStore,
    record: FleetRecord,
    catalogue: PublishedCatalogue,
    rollouts: Sequence[Rollout],
    at: float,
    flags: FlagsOf = no_flags,
    experiments: Sequence[Experiment] = (),
) -> DesiredState:
    """What a device is told now, of which the versions are kept. ``rollouts`` and ``experiments``, which run, are
    ordered from the oldest."""
    device_class, targets = wanted_targets(record, catalogue, rollouts, experiments)
    note_told(store, record.id, {model: each.version for model, each in targets.items()}, at)
    request, lines = asked_log(store, record.id)
    taking_part = experiments if record.state == "active" else ()
    arms = flags_by_experiments(as_fleet_device(record, device_class), taking_part, satisfies_where)
    return DesiredState(
        device_class=device_class,
        targets={model: each.path for model, each in targets.items()},
        flags=dict(list({**arms, **flags(record), **arms}.items())[:MAX_FLAGS]),
        poll_s=POLL_S,
        log_request=request,
        log_lines=lines,
    )


def wanted_targets(
    record: FleetRecord,
    catalogue: PublishedCatalogue,
    rollouts: Sequence[Rollout],
    experiments: Sequence[Experiment] = (),
) -> tuple[str, dict[str, SignedTarget]]:
    """The class of a device, and by model what it is to run. A quarantined device is told to run nothing new."""
    targets: dict[str, SignedTarget] = {}
    classes = set[str]()
    for model, published in catalogue.models().items():
        name = catalogue.class_of(model, record.attributes)
        classes.add(name)
        if record.state == "active" and (target := _target(model, name, published, record, rollouts, experiments)):
            targets[model] = target
    return min(classes, default="any"), targets


def satisfies_where(where: str, attributes: Mapping[str, Any]) -> bool:
    """A value that cannot be compared does not satisfy it."""
    try:
        return matches(_parsed(where), attributes)
    except WhereError:
        return False


def desired_number(
    model: str,
    device_class: str,
    published: CatalogueEntry,
    record: FleetRecord,
    rollouts: Sequence[Rollout],
    experiments: Sequence[Experiment] = (),
) -> tuple[int, str]:
    """The version of a model for a device, and why; 0 for none.

    Without any rollout that was completed it is the oldest version that is published.
    """
    device = as_fleet_device(record, device_class)
    tried = number_by_experiment(model, device, experiments, satisfies_where)
    pinned = record.pins.get(model, 0)
    wish = desired_version(model, device, rollouts, satisfies_where, pinned, tried, published.revoked)
    return wish.number or published.first(device_class, wish.halted), wish.why


def _target(
    model: str,
    device_class: str,
    published: CatalogueEntry,
    record: FleetRecord,
    rollouts: Sequence[Rollout],
    experiments: Sequence[Experiment],
) -> SignedTarget | None:
    number, _ = desired_number(model, device_class, published, record, rollouts, experiments)
    return published.targets.get((max(number, published.minimum), device_class))


@lru_cache(1024)
def _parsed(where: str) -> Expression:
    return parse(where)
