"""``delivery.json``: where the keys of a repository are, and how long its metadata are valid. Not published."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lykeion.core import read_json, write_atomically
from lykeion.core.fields import Field, Fields
from lykeion.delivery.errors import DeliveryError

from .signing_keys import RoleKey

FILE = "delivery.json"
SCHEMA = 1
DAYS = {"root": 365, "targets": 180, "models": 90, "snapshot": 7, "timestamp": 3}
"""For how long each kind of metadata is valid, by default."""
MAX_DAYS = 3_650


@dataclass(frozen=True)
class DeliverySettings:
    """``key_uris`` are by key ID. ``sources`` say from which repository of the registry each model comes, so that no
    other one of the same name takes its place."""

    key_uris: Mapping[str, str] = field(default_factory=dict[str, str])
    days: Mapping[str, int] = field(default_factory=lambda: dict(DAYS))
    sources: Mapping[str, str] = field(default_factory=dict[str, str])

    def with_keys(self, keys: Iterable[RoleKey]) -> "DeliverySettings":
        return replace(self, key_uris={**self.key_uris, **{key.keyid: key.uri for key in keys if key.uri}})

    def with_source(self, model: str, source: str) -> "DeliverySettings":
        return replace(self, sources={**self.sources, model: source})

    def days_of(self, role: str) -> int:
        return self.days[role if role in self.days else "models"]

    def write(self, home: Path) -> None:
        text = json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, sort_keys=True)
        write_atomically(home / FILE, f"{text}\n".encode())


def read_settings(home: Path) -> DeliverySettings:
    """Raises DeliveryError, naming the field."""
    path = home / FILE
    if not path.exists():
        raise DeliveryError(f"{home}: no repository for delivery; make one with lykeion delivery init {home}")
    fields = Fields(str(path), read_json(path, DeliveryError, "settings of delivery"), DeliveryError)
    fields.only("schema", "key_uris", "days", "sources")
    fields.required("schema", lambda each: each.number(SCHEMA, SCHEMA))
    return DeliverySettings(
        fields.required("key_uris", Field.text_by_name),
        DAYS | fields.required("days", _days),
        fields.required("sources", Field.text_by_name),
    )


def _days(given: Field) -> dict[str, Any]:
    days = given.fields()
    days.only(*DAYS)
    return {name: days.required(name, lambda each: each.number(1, MAX_DAYS)) for name in days.values}
