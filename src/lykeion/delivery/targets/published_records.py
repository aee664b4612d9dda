"""What was published of a version, for ``explain`` and ``revoke``; kept beside the repository, not published.

A version's record outlives its targets: what has left the metadata can still be on devices.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lykeion.core import read_json, write_atomically
from lykeion.core.fields import Field, Fields
from lykeion.delivery.errors import DeliveryError, NoSuchTarget

from .device_classes import DeviceClass


@dataclass(frozen=True)
class PublishedRecord:
    """``files`` are digests of the networks."""

    goal: str
    classes: tuple[DeviceClass, ...]
    files: tuple[str, ...]

    def write(self, home: Path, model: str, version: int) -> None:
        plain = {"goal": self.goal, "classes": [each.to_json() for each in self.classes], "files": list(self.files)}
        text = json.dumps(plain, indent=1, ensure_ascii=False)
        write_atomically(_path(home, model, version), f"{text}\n".encode())


def read_record(home: Path, model: str, version: int) -> PublishedRecord:
    """Raises NoSuchTarget for what was never published here, DeliveryError."""
    path = _path(home, model, version)
    if not path.is_file():
        raise NoSuchTarget(f"{model} v{version} was never published here")
    given = Fields(str(path), read_json(path, DeliveryError, "record of a publication"), DeliveryError)
    return PublishedRecord(
        str(given.values.get("goal", "")),
        tuple(_class(item.fields()) for item in given.required("classes", Field.items)),
        given.required("files", Field.texts),
    )


def revoked_versions(home: Path, model: str, revoked: Collection[str]) -> frozenset[int]:
    """Versions of which all files are revoked, given those by digest. Raises DeliveryError."""
    if not revoked:
        return frozenset()
    numbers = [
        int(path.stem[1:]) for path in _path(home, model, 1).parent.glob("v*.json") if path.stem[1:].isdecimal()
    ]
    files = {number: set(read_record(home, model, number).files) for number in numbers}
    return frozenset(number for number, each in files.items() if each and each <= set(revoked))


def _class(given: Fields) -> DeviceClass:
    where = str(given.values.get("where", ""))
    return DeviceClass(given.required("name", Field.text), where, Path(given.required("report", Field.text)))


def _path(home: Path, model: str, version: int) -> Path:
    return home / "published" / model / f"v{version}.json"
