"""The fields of a spec as rows, from which the documentation's tables are generated."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import msgspec
from msgspec import inspect

from .resource import Wire
from .resource_documents import must_be, structure


class FieldRow(NamedTuple):
    """``name`` is a path, such as ``program.env[].name``; ``default`` is empty if there is none."""

    name: str
    values: str
    default: str
    description: str


def field_rows(type_: type[Wire], prefix: str = "") -> Iterator[FieldRow]:
    """Every field that users may set; nested fields follow the field that contains them."""
    for field in msgspec.structs.fields(type_):
        name, info = prefix + field.encode_name, inspect.type_info(field.type)
        required = "required" if field.required else ""
        yield FieldRow(name, must_be(info), required or _default(field), _description(info))
        if inner := structure(field.type):
            yield from field_rows(inner, f"{name}.")
        elif item := _item(field.type):
            yield from field_rows(item, f"{name}[].")


def _default(field: Any) -> str:
    value = field.default
    if value is msgspec.NODEFAULT or value is None or isinstance(value, Wire) or value in ((), ""):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _description(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(extra_json_schema=extra, type=inner):
            return (extra or {}).get("description") or _description(inner)
        case inspect.UnionType(types=types):
            return next(filter(None, map(_description, types)), "")
        case _:
            return ""


def _item(type_: Any) -> type[Wire] | None:
    """The structure of a list's items."""
    plain = get_args(type_)[0] if get_origin(type_) is Annotated else type_
    return structure(get_args(plain)[0]) if get_origin(plain) is tuple else None
