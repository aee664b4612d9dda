"""Reading fields of a document that people wrote: strictly, each error with the field's name."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from .errors import Invalid, first_line

LIMIT_BYTES = 1 << 20
LIMIT_DEPTH = 16

Value = TypeVar("Value")


class SpecError(Invalid):
    """A document that does not fit; the message names the file and the field."""


@dataclass(frozen=True)
class Fields:
    """A mapping at ``where`` (such as ``image.yaml: python``) whose fields are taken one by one."""

    where: str
    values: Mapping[str, Any]

    def only(self, *known: str) -> None:
        """Raises SpecError for any other field."""
        for name in self.values:
            if name not in known:
                raise SpecError(f"{self.where} has no field {str(name)[:60]!r}; it takes {', '.join(known)}")

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def required(self, name: str, read: Callable[["Field"], Value]) -> Value:
        if name not in self.values:
            raise SpecError(f"{self.where} lacks the field {name!r}")
        return read(Field(f"{self.where}: {name}", self.values[name]))

    def optional(self, name: str, read: Callable[["Field"], Value], default: Value) -> Value:
        return self.required(name, read) if name in self.values else default


@dataclass(frozen=True)
class Field:
    where: str
    value: Any

    def wrong(self, wanted: str) -> SpecError:
        return SpecError(f"{self.where} is {str(self.value)[:60]!r}; it must be {wanted}")

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
        return [Field(f"{self.where}[{place}]", item) for place, item in enumerate(self.value)]

    def texts(self) -> tuple[str, ...]:
        return tuple(item.text() for item in self.items())

    def fields(self) -> Fields:
        if not isinstance(self.value, dict) or not all(isinstance(name, str) for name in self.value):
            raise self.wrong("a mapping from names to values")
        return Fields(self.where, self.value)

    def text_by_name(self) -> dict[str, str]:
        fields = self.fields()
        return {name: fields.required(name, Field.text) for name in fields.values}

    def one_of(self, choices: Sequence[str]) -> str:
        if self.value not in choices:
            raise self.wrong(" or ".join(choices))
        return self.value


def read_yaml(path: Path) -> Fields:
    """A YAML document without aliases or fields given twice. Raises SpecError."""
    import yaml

    def refuse(problem: str, at: Any) -> NoReturn:
        raise yaml.MarkedYAMLError(None, None, problem, at.start_mark)

    class Loader(yaml.SafeLoader):
        depth = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.events.AliasEvent):
                refuse("aliases (*name) are not read", self.peek_event())
            if self.depth > LIMIT_DEPTH:
                refuse(f"more than {LIMIT_DEPTH} levels", self.peek_event())
            self.depth += 1
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            names: set[str] = set()
            for key, _ in node.value:
                if str(key.value) in names:
                    refuse(f"{key.value} is given twice", key)
                names.add(str(key.value))
            return super().construct_mapping(node, deep)

    # In YAML 1.1 a number with an exponent needs a point: 1e-3 would be text.
    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+[eE][-+]?\d+$"), list("-+0123456789")
    )
    try:
        data = path.read_bytes()
        if len(data) > LIMIT_BYTES:
            raise SpecError(f"{path} has {len(data):,} bytes; at most {LIMIT_BYTES:,} are read")
        value = yaml.load(data, Loader)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        raise SpecError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or first_line(error)
        raise SpecError(f"{path}{place}: {problem}") from None
    return Field(str(path), value).fields()
