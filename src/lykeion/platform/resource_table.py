"""The columns that ``get`` prints, given by each kind as kubectl's JSONPaths."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from lykeion.control import AnyKind, AnyResource, Happened
from lykeion.platform.resources.settings import SECRET

_NOT_APPLIED = ("apiVersion", "kind", "metadata", "status")
_STEP = re.compile(r"\.(\w+)|\[\?\(@\.(\w+)=='(\w+)'\)\]")
_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def titles(kind: AnyKind, *, wide: bool = False) -> list[str]:
    return ["Name", *(each.title for each in kind.columns if wide or not each.wide)]


def row(resource: AnyResource, now: datetime, *, wide: bool = False) -> Sequence[str]:
    document = resource.document()
    cells = [resource.metadata.name]
    for column in resource.kind.columns:
        if wide or not column.wide:
            value = look_up(document, column.path)
            cells.append(age(value, now) if column.type == "date" and value else _text(value))
    return cells


def look_up(document: Any, path: str) -> Any:
    """The value at a JSONPath of names and filters, such as ``.status.conditions[?(@.type=='Ready')].status``.

    None if there is none; of several the first.
    """
    value = document
    for name, field, wanted in _STEP.findall(path):
        if name:
            value = value.get(name) if isinstance(value, dict) else None
        else:
            items: Iterable[Any] = value if isinstance(value, list) else ()
            value = next((each for each in items if str(each.get(field)) == wanted), None)
    return value


def as_list(resources: Sequence[AnyResource], *, one: bool = False) -> dict[str, Any]:
    """Resources as kubectl prints them: a single one, or a List."""
    documents = [each.document() for each in resources]
    return documents[0] if one else {"apiVersion": "v1", "kind": "List", "items": documents}


def as_yaml(document: dict[str, Any]) -> str:
    """The text with control characters for terminals escaped."""
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=False)


def as_described(resource: AnyResource) -> str:
    """A resource as YAML; of a Secret, the sizes of its values."""
    return as_yaml(_shown(resource, resource))


def as_applied(resource: AnyResource, earlier: AnyResource | None = None) -> str:
    """What a user can change of a resource, as YAML: labels, annotations and spec.

    Of a Secret, the sizes of its values, and which of them differ from ``earlier``.
    """
    document = _shown(resource, earlier or resource)
    metadata = {name: document["metadata"].get(name, {}) for name in ("labels", "annotations")}
    body = {name: value for name, value in document.items() if name not in _NOT_APPLIED}
    return as_yaml({"metadata": metadata, **body})


def event_document(happened: Happened) -> dict[str, str]:
    event = happened.event
    return {"at": happened.at.isoformat(), "type": event.type, "reason": event.reason, "message": event.message}


def age(since: str, now: datetime) -> str:
    """Such as ``3h``: in the largest unit of which there are at least two, as kubectl shows it."""
    seconds = max(0, int((now - datetime.fromisoformat(since)).total_seconds()))
    name, unit = next(((name, unit) for name, unit in _UNITS if seconds >= 2 * unit), _UNITS[-1])
    return f"{seconds // unit}{name}"


def _shown(resource: AnyResource, earlier: AnyResource) -> dict[str, Any]:
    document = resource.document()
    if resource.kind is SECRET:
        document.pop("stringData", None)
        old = earlier.spec.values()
        document["data"] = {
            name: f"{len(value)} bytes{'' if old.get(name, value) == value else ', another value'}"
            for name, value in resource.spec.values().items()
        }
    return document


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return "" if value is None else str(value)
