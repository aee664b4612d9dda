"""Which embedding spaces devices search in now: an index has to stay until the last device has left its space."""

from collections import defaultdict
from dataclasses import dataclass, field

from lykeion.delivery.device_service.records import all_devices
from lykeion.delivery.device_service.store import FleetStore

from .published_catalogue import CatalogueEntry, PublishedCatalogue


@dataclass
class SpaceUse:
    """``versions`` are of models, as ``shoes v7``."""

    space: str
    devices: int = 0
    versions: set[str] = field(default_factory=set[str])


def spaces_in_use(store: FleetStore, catalogue: PublishedCatalogue) -> list[SpaceUse]:
    """Of devices that are neither revoked nor decommissioned, by what they reported last. A version that is not
    published any more is of no space here."""
    models, found = catalogue.models(), dict[str, SpaceUse]()
    for device in all_devices(store):
        if device.state not in ("active", "quarantined"):
            continue
        spaces = defaultdict[str, set[str]](set)
        for model, report in device.models.items():
            number = report["running"]
            if (entry := models.get(model)) and (space := _space(entry, number)):
                spaces[space].add(f"{model} v{number}")
        for space, versions in spaces.items():
            use = found.setdefault(space, SpaceUse(space))
            use.devices += 1
            use.versions |= versions
    return sorted(found.values(), key=lambda each: -each.devices)


def _space(entry: CatalogueEntry, version: int) -> str:
    """All classes of a version that was published for an index have its space; variants of none may differ."""
    return next((each.space for (number, _), each in entry.targets.items() if number == version), "")
