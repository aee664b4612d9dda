"""What is published now: versions and targets by model, read again when the repository has changed."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lykeion.core import NotFound
from lykeion.delivery.rollouts import VersionOffer
from lykeion.delivery.targets import DeviceClass, class_of, read_record, revoked_versions
from lykeion.delivery.tuf import (
    files_of,
    limits_of,
    metadata_directory,
    models_of,
    read_settings,
    read_state,
    records_of,
)
from lykeion.device import SignedTarget


@dataclass(frozen=True)
class CatalogueEntry:
    """``targets`` are by version and class; ``minimum`` is the lowest version that may run, ``classes`` those of the
    newest version; ``revoked`` are versions that have been."""

    targets: Mapping[tuple[int, str], SignedTarget]
    minimum: int
    classes: tuple[DeviceClass, ...]
    revoked: frozenset[int] = frozenset()

    @property
    def versions(self) -> list[int]:
        return sorted({version for version, _ in self.targets})

    def first(self, device_class: str, halted: Collection[int] = ()) -> int:
        """The oldest version for a class that may run and was not halted; 0 if there is none."""
        numbers = (version for version, name in self.targets if name == device_class and version >= self.minimum)
        return min((each for each in numbers if each not in halted), default=0)

    def manifest(self, version: int) -> str:
        return next((each.manifest for (number, _), each in self.targets.items() if number == version), "")


@dataclass
class PublishedCatalogue:
    """Of the repository in ``home``. Safe among threads. Methods raise RepositoryDamaged, DeliveryError."""

    home: Path
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _seen: tuple[int, int] = (0, 0)
    _models: Mapping[str, CatalogueEntry] = field(default_factory=dict[str, CatalogueEntry])

    def models(self) -> Mapping[str, CatalogueEntry]:
        with self._turn:
            stat = (metadata_directory(self.home) / "timestamp.json").stat()
            if (now := (stat.st_ino, stat.st_mtime_ns)) != self._seen:
                self._models, self._seen = _read(self.home), now
            return self._models

    def class_of(self, model: str, attributes: Mapping[str, Any]) -> str:
        """The class of a device for a model; empty for a model that is not published."""
        found = self.models().get(model)
        return class_of(found.classes, attributes)[0] if found and found.classes else ""

    def offer(self, model: str, version: str) -> VersionOffer | None:
        """What a version, an alias in the registry or a digest is among the published versions. Raises what the
        registry raises, which is asked for aliases."""
        found = self.models().get(model)
        if found is None:
            return None
        number = self._number(model, found, version)
        offered = number in found.versions and number >= found.minimum
        return VersionOffer(number, found.manifest(number)) if offered else None

    def spaces(self, model: str, version: str) -> frozenset[str]:
        """The embedding spaces that targets of a version search in; none for a classifier."""
        offered, found = self.offer(model, version), self.models().get(model)
        if offered is None or found is None:
            return frozenset()
        targets = (each for (number, _), each in found.targets.items() if number == offered.number)
        return frozenset(each.space for each in targets if each.space)

    def _number(self, model: str, found: CatalogueEntry, version: str) -> int:
        if version.startswith("sha256:"):
            return next((each for each in found.versions if found.manifest(each) == version), 0)
        if version[:1] == "v" and version[1:].isdecimal():
            return int(version[1:])
        return _of_alias(read_settings(self.home).sources.get(model, model), version)


def _read(home: Path) -> dict[str, CatalogueEntry]:
    state = read_state(home)
    return {model: _model(home, model, files_of(state, model)) for model in models_of(state)}


def _model(home: Path, model: str, files: Mapping[str, Any]) -> CatalogueEntry:
    limits = limits_of(files, model)
    records = [each for each in records_of(files).values() if each.file not in limits.revoked]
    targets = {(each.version, each.device_class): each for each in records}
    newest = max((version for version, _ in targets), default=0)
    classes = read_record(home, model, newest).classes if newest else ()
    return CatalogueEntry(targets, limits.minimum, classes, revoked_versions(home, model, limits.revoked))


def _of_alias(source: str, alias: str) -> int:
    """0 for an alias that the registry does not have."""
    from lykeion import registry

    place, reference = registry.Stores(None).find(f"{source}:{alias}")
    try:
        version = registry.show(place, reference).version.version
    except NotFound:
        return 0
    return int(version[1:]) if version else 0
