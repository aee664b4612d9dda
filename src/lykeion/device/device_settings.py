"""What a device is told once, when it is set up: where its models come from, and what it may do."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lykeion.core import Invalid, read_json_as, write_atomically, writing
from lykeion.core.fields import Field, Fields
from lykeion.device.device_conditions import UpdateRules
from lykeion.device.fleet.message_fields import Attribute, MessageError, read_attributes

from .signed_target import is_model_name

SETTINGS_FILE, ROOT_FILE = "device.json", "root.json"


class DeviceSettingsError(Invalid):
    """The device is not set up, or its settings cannot be used."""


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """``repository`` is the address above ``metadata`` and ``targets``, ``server`` that of the fleet's server, and
    ``search`` that of a photo search service; an empty one is not used. Without a server the device runs the newest
    version of each of ``models`` for its ``device_class``.

    ``attributes`` are told to the server beside those that are measured, and in front of them. With a server, a
    ``device_class`` other than ``any`` refuses targets of other classes, whatever the server says.
    ``photos_may_leave`` is the consent of the device's owner that photos are sent where a vector will not do.
    """

    repository: str
    device_class: str = "any"
    models: tuple[str, ...] = ()
    server: str = ""
    search: str = ""
    photos_may_leave: bool = False
    quota_bytes: int = 1 << 30
    bandwidth_bytes_s: int = 0
    rules: UpdateRules = field(default_factory=UpdateRules)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    def write(self, home: Path) -> None:
        """Raises DeviceSettingsError."""
        path = home / SETTINGS_FILE
        with writing(path, DeviceSettingsError):
            write_atomically(path, json.dumps(asdict(self), indent=2).encode() + b"\n")

    @classmethod
    def read(cls, home: Path) -> "DeviceSettings":
        """Raises DeviceSettingsError."""
        if not (path := home / SETTINGS_FILE).exists():
            raise DeviceSettingsError(f"{home} is not the home of a device; run: lykeion device enroll URL TOKEN")
        return read_json_as(_settings, path, DeviceSettingsError, "list of settings")


def _settings(plain: Mapping[str, Any]) -> DeviceSettings:
    fields = Fields("settings", plain, DeviceSettingsError)
    fields.only(*_READS)
    try:
        return DeviceSettings(
            **{name: fields.required(name, read) for name, read in _READS.items() if name in fields}
        )
    except MessageError as error:
        raise DeviceSettingsError(str(error)) from None


def _address(field: Field) -> str:
    value = field.value
    if value != "" and not (isinstance(value, str) and value.startswith(("https://", "http://"))):
        raise field.wrong("an address that begins with https:// or http://")
    return value


def _model(field: Field) -> str:
    if not isinstance(field.value, str) or not is_model_name(field.value):
        raise field.wrong("a name of up to 64 lower-case letters, digits and ._-")
    return field.value


def _rules(field: Field) -> UpdateRules:
    fields = field.fields()
    fields.only("unmetered", "charging", "idle", "battery_percent")
    truths = {name: fields.optional(name, Field.truth, False) for name in ("unmetered", "charging", "idle")}
    return UpdateRules(
        **truths, battery_percent=fields.optional("battery_percent", lambda each: each.number(0, 100), 0)
    )


_READS: Mapping[str, Any] = {
    "repository": _address,
    "device_class": _model,
    "models": lambda field: tuple(_model(item) for item in field.items()),
    "server": _address,
    "search": _address,
    "photos_may_leave": Field.truth,
    "quota_bytes": lambda field: field.number(1 << 20, 1 << 50),
    "bandwidth_bytes_s": lambda field: field.number(0, 1 << 40),
    "rules": _rules,
    "attributes": read_attributes,
}
