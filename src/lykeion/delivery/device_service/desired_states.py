"""What a device is told to run: of each model the version that rollouts and pins say, as the target of its class."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from lykeion.core.expression import Expression, WhereError
from lykeion.core.grammar import parse
from lykeion.core.matching import matches
from lykeion.delivery.experiments import Experiment
from lykeion.delivery.rollouts import Rollout, desired_version
from lykeion.device import DesiredState

from .fleet_records import FleetRecord, as_fleet_device
from .published_catalogue import CatalogueEntry, PublishedCatalogue
from .served_experiments import number_by_experiment

POLL_S = 900


def desired_state(
    record: FleetRecord,
    catalogue: PublishedCatalogue,
    rollouts: Sequence[Rollout],
    experiments: Sequence[Experiment] = (),
    poll_s: int = POLL_S,
) -> DesiredState:
    """``rollouts`` and ``experiments``, which run, are ordered from the oldest.

    A quarantined device is told to run nothing new.
    """
    targets: dict[str, str] = {}
    classes = set[str]()
    for model, published in catalogue.models().items():
        name = catalogue.class_of(model, record.attributes)
        classes.add(name)
        if record.state == "active" and (path := _target(model, name, published, record, rollouts, experiments)):
            targets[model] = path
    return DesiredState(device_class=min(classes, default="any"), targets=targets, poll_s=poll_s)


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
    wish = desired_version(model, device, rollouts, satisfies_where, record.pins.get(model, 0), tried)
    return wish.number or published.first(device_class, wish.halted), wish.why


def _target(
    model: str,
    device_class: str,
    published: CatalogueEntry,
    record: FleetRecord,
    rollouts: Sequence[Rollout],
    experiments: Sequence[Experiment],
) -> str:
    number, _ = desired_number(model, device_class, published, record, rollouts, experiments)
    target = published.targets.get((max(number, published.minimum), device_class))
    return target.path if target else ""


@lru_cache(1024)
def _parsed(where: str) -> Expression:
    return parse(where)
