"""Strict reading of a document's fields; each error names the field."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from .errors import Invalid, LykeionError

Value = TypeVar("Value")


class SpecError(Invalid):
    """A document that does not fit; the message names the file and the field."""


@dataclass(frozen=True)
class Fields:
    """A mapping at ``where`` (such as ``image.yaml: python``) whose fields are taken one by one.

    Raises ``error``.
    """

    where: str
    values: Mapping[str, Any]
    error: type[LykeionError] = SpecError

    def only(self, *known: str) -> None:
        """Raises ``error`` for any other field."""
        for name in self.values:
            if name not in known:
                raise self.error(f"{self.where} has no field {str(name)[:60]!r}; it takes {', '.join(known)}")

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def required(self, name: str, read: Callable[["Field"], Value]) -> Value:
        if name not in self.values:
            raise self.error(f"{self.where} lacks the field {name!r}")
        return read(Field(f"{self.where}: {name}", self.values[name], self.error))

    def optional(self, name: str, read: Callable[["Field"], Value], default: Value) -> Value:
        return self.required(name, read) if name in self.values else default


@dataclass(frozen=True)
class Field:
    where: str
    value: Any
    error: type[LykeionError] = SpecError

    def wrong(self, wanted: str) -> LykeionError:
        return self.error(f"{self.where} is {_shown(self.value)}; it must be {wanted}")

    def text(self) -> str:
        if not isinstance(self.value, str) or not self.value or "\0" in self.value:
            raise self.wrong("text; quote it if it looks like a number or a date")
        return self.value

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            raise self.wrong("true or false")
        return self.value

    def number(self, low: int, high: int) -> int:
        if type(self.value) is not int or not low <= self.value <= high:
            raise self.wrong(f"a whole number from {low} to {high}")
        return self.value

    def items(self) -> list["Field"]:
        if not isinstance(self.value, list):
            raise self.wrong("a list")
        return [Field(f"{self.where}[{place}]", item, self.error) for place, item in enumerate(self.value)]

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def fields(self) -> Fields:
        if not isinstance(self.value, dict) or not all(isinstance(name, str) for name in self.value):
            raise self.wrong("a mapping from names to values")
        return Fields(self.where, self.value, self.error)

    def text_by_name(self) -> dict[str, str]:
        fields = self.fields()
        return {name: fields.required(name, Field.text) for name in fields.values}

    def one_of(self, choices: Sequence[str]) -> str:
        if self.value not in choices:
            raise self.wrong(" or ".join(choices))
        return self.value


def _shown(value: Any) -> str:
    """A value in an error; YAML reads some words as truth values that a person wrote as text."""
    if isinstance(value, bool):
        words = "y, yes and on" if value else "n, no and off"
        return f"{str(value).lower()} (as YAML reads {words}; quote text)"
    return repr(str(value)[:60])
