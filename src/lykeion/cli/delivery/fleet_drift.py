"""What devices were told to run and what they run, for ``lykeion delivery status``."""

import time
from collections.abc import Sequence
from pathlib import Path

from lykeion.cli.output import print_table
from lykeion.core import print_line
from lykeion.delivery import device_service, rollouts


def fleet_needs(fleet: Path, model: str) -> set[int]:
    """The versions of a model that devices of the fleet are to run; none where no fleet is kept."""
    if not device_service.fleet_file(fleet).exists():
        return set()
    store = device_service.open_fleet(fleet)
    try:
        return device_service.needed_versions(store, model, time.time())
    finally:
        store.close()


def fleet_spaces(fleet: Path, home: Path) -> list["device_service.SpaceUse"]:
    """None where no fleet is kept."""
    if not device_service.fleet_file(fleet).exists():
        return []
    store = device_service.open_fleet(fleet)
    try:
        return device_service.spaces_in_use(store, device_service.PublishedCatalogue(home))
    finally:
        store.close()


def print_spaces(spaces: Sequence["device_service.SpaceUse"]) -> None:
    """Each needs an index."""
    if not spaces:
        return
    print_line("")
    rows = [(each.space, f"{each.devices:,}", ", ".join(sorted(each.versions))) for each in spaces]
    print_table(("embedding space", "devices", "which run"), rows, right=("devices",))


def fleet_drift(fleet: Path) -> list["device_service.VersionDrift"]:
    """None where no fleet is kept."""
    if not device_service.fleet_file(fleet).exists():
        return []
    store = device_service.open_fleet(fleet)
    try:
        return device_service.version_drift(store, time.time())
    finally:
        store.close()


def print_drift(drift: Sequence["device_service.VersionDrift"]) -> None:
    if not drift:
        return
    rows = [
        (
            each.model,
            f"v{each.version}",
            f"{each.told:,}",
            f"{each.running:,}",
            f"{each.behind:,}",
            rollouts.seconds_text(each.oldest_s) if each.behind else "",
            f"{each.silent:,}",
        )
        for each in drift
    ]
    right = ("devices", "run it", "do not", "for", "silent since")
    print_line("")
    print_table(("model", "version", *right), rows, right=right)
