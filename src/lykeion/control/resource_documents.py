"""Reads resources that users wrote: msgspec decodes them, and its errors are reworded to name the field."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from lykeion.core import LykeionError
from lykeion.core.fields import Field, Fields

from .resource import CLUSTER, AnyKind, AnyResource, Metadata, Resource, ResourceError, Wire, without_nulls

Value = TypeVar("Value")

_HEAD = ("apiVersion", "kind", "metadata")
_SERVERS_OWN = ("deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "managedFields", "selfLink")
"""Metadata fields that ``kubectl get -o yaml`` prints and no file needs."""


def read_resource(fields: Fields, kinds: Mapping[str, AnyKind]) -> AnyResource:
    """A resource of one of ``kinds``, by name. Raises ResourceError, which names the place and the field."""
    fields = Fields(fields.where, without_nulls(fields.values), ResourceError)
    name = fields.required("kind", Field.text)
    version = fields.required("apiVersion", Field.text)
    if name not in kinds:
        raise ResourceError(f"{fields.where}: kind is {name[:60]!r}; it must be {' or '.join(sorted(kinds))}")
    kind = kinds[name]
    if version != kind.api_version:
        raise ResourceError(f"{fields.where}: apiVersion is {version[:60]!r}; it must be {kind.api_version}")
    metadata = fields.required("metadata", _read_metadata)
    if not kind.namespaced:
        metadata = msgspec.structs.replace(metadata, namespace=CLUSTER)
    if kind.inline:
        body = {field: value for field, value in fields.values.items() if field not in _HEAD}
        return Resource(kind, metadata, read_as(kind.spec, Field(fields.where, body, ResourceError)), kind.status())
    fields.only(*_HEAD, "spec", "status")
    return Resource(
        kind,
        metadata,
        fields.required("spec", lambda field: read_as(kind.spec, field)),
        fields.optional("status", lambda field: read_as(kind.status, field), kind.status()),
    )


def read_as(type_: type[Value], field: Field) -> Value:
    """The field's value as ``type_``, strictly: text is not accepted as a number. Raises the field's error."""
    try:
        return msgspec.convert(field.value, type_)
    except msgspec.ValidationError as wrong:
        raise _explained(type_, field, str(wrong)) from None


def check_change(old: AnyResource, new: AnyResource) -> None:
    """Raises ResourceError if the new spec changes what must not change."""
    spec: Wire = new.spec
    for rule in spec.change_rules:
        if not rule.holds(old.spec, new.spec):
            raise ResourceError(f"{new.key}: spec: {rule.message}")


def must_be(info: inspect.Type) -> str:
    """A description of the allowed values."""
    match info:
        case inspect.Metadata(type=inner, extra=extra):
            return str((extra or {}).get("must be") or must_be(inner))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number{_bounds(low, high)}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number{_bounds(low, high)}"
        case inspect.StrType(max_length=most):
            return "text" if most is None else f"text of at most {most} characters"
        case inspect.DateTimeType():
            return "a time with its zone, such as 2026-11-01T12:30:00Z"
        case inspect.LiteralType(values=values):
            return " or ".join(map(str, values))
        case inspect.UnionType(types=types):
            return " or ".join(must_be(each) for each in types if not isinstance(each, inspect.NoneType))
        case inspect.VarTupleType(min_length=least, max_length=most):
            return "a list" + (f" of {f'{least} to' if least else 'at most'} {most} items" if most else "")
        case inspect.DictType(max_length=most):
            return "a mapping from names to values" + (f", at most {most}" if most else "")
        case _:
            return "a mapping from names to values"


def _bounds(low: Any, high: Any) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f" of at least {low}" if low is not None else f" of at most {high}" if high is not None else ""


def _explained(type_: Any, field: Field, message: str) -> LykeionError:
    """The error of the first invalid part, found by converting each part of the value separately."""
    for part, inner in _parts(type_, field):
        try:
            msgspec.convert(inner.value, part)
        except msgspec.ValidationError as wrong:
            return _explained(part, inner, str(wrong))
    if structure(type_):  # each field is valid, so a rule between them is violated
        return field.error(f"{field.where}: {message.partition(' - at `')[0]}")
    return field.wrong(must_be(inspect.type_info(type_)))


def _parts(type_: Any, field: Field) -> Iterator[tuple[Any, Field]]:
    """The types and values inside. Raises the field's error for a mapping with missing or unknown fields."""
    plain = _plain(type_)
    if struct := structure(plain):
        fields, known = field.fields(), msgspec.structs.fields(struct)
        fields.only(*(each.encode_name for each in known))
        for each in known:
            if each.required or each.encode_name in fields:
                yield each.type, fields.required(each.encode_name, lambda inner: inner)
    elif get_origin(plain) is tuple and isinstance(field.value, list):
        yield from ((get_args(plain)[0], item) for item in field.items())
    elif get_origin(plain) is dict and isinstance(field.value, dict):
        fields = field.fields()
        yield from ((get_args(plain)[1], fields.required(name, lambda inner: inner)) for name in fields.values)


def structure(type_: Any) -> type[Wire] | None:
    """The structure that a type is, or of which it is an optional."""
    plain = _plain(type_)
    choices = map(_plain, get_args(plain)) if get_origin(plain) in (Union, UnionType) else (plain,)
    return next((each for each in choices if isinstance(each, type) and issubclass(each, Wire)), None)


def _plain(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _read_metadata(field: Field) -> Metadata:
    values = {name: value for name, value in field.fields().values.items() if name not in _SERVERS_OWN}
    return read_as(Metadata, Field(field.where, values, field.error))
