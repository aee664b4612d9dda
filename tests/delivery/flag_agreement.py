"""Random flags for random units, decided by us and by GrowthBook's own clients: how many decisions differ.

``node`` is a copy of ``tests/e2e/growthbook_js`` in which ``npm ci`` has run.
"""

import json
import random
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from growthbook import GrowthBook

from lykeion.core.flags import AttributeType, FlagContext, evaluate_feature
from lykeion.delivery.flags import (
    FeatureFlag,
    FlagEnvironment,
    FlagError,
    SavedGroup,
    check_environment,
    evaluate_flags,
    read_flag,
)

TYPES: dict[str, AttributeType] = {
    "id": "string",
    "age": "number",
    "score": "number",
    "country": "string",
    "note": "string",
    "pro": "boolean",
    "tags": "strings",
    "sizes": "numbers",
}
NUMBERS = (0, -0.0, 1, -1, 8, 0.1, 0.30000000000000004, 1e-7, 1e15, 2**53 - 1, -(2**53) + 1, 17.5)
STRINGS = (
    "",
    "a",
    "B",
    "8",
    "1",
    "true",
    "DE",
    "de",
    "é",
    "e\u0301",
    "\ud7ff",
    " 8 ",
    "x" * 40,
    "null",
    "ü",
    "10",
    "9",
)
WILD: tuple[Any, ...] = (
    *("\ufffd", "\U0001f600", 2**53 + 1, -(2**60), 1e300, True, False, "0", 0, 1, [], {}, [1, "1", True, None]),
    *([None], {"a": 1}, "\ufb01", ["DE"], "NaN", [[1]]),
)
"""Values of attributes, of some type or none."""
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")


def random_where(draw: random.Random, depth: int = 0) -> str:
    """A condition on attributes of ``TYPES``."""
    if depth < 4 and draw.random() < 0.55:
        kind = draw.choice(("and", "or", "not"))
        if kind == "not":
            return f"not ({random_where(draw, depth + 1)})"
        parts = (random_where(draw, depth + 1) for _ in range(draw.randint(2, 3)))
        return "(" + f" {kind} ".join(parts) + ")"
    column = draw.choice(list(TYPES))
    type_ = TYPES[column]
    no = draw.choice(("", "not "))
    if draw.random() < 0.15:
        return f"{column} is {no}null"
    if type_ == "boolean":
        return draw.choice((column, f"not {column}", f"{column} = false", f"{column} != true"))
    if type_ in ("strings", "numbers"):
        return f"{column} {no}contains {_constant(draw, type_[:-1])}"
    match draw.randrange(4):
        case 0:
            values = ", ".join(_constant(draw, type_) for _ in range(draw.randint(1, 4)))
            return f"{column} {no}in ({values})"
        case 1:
            return f"{column} {no}between {_constant(draw, type_)} and {_constant(draw, type_)}"
        case _:
            return f"{column} {draw.choice(OPERATORS)} {_constant(draw, type_)}"


def random_flags(draw: random.Random, count: int) -> FlagEnvironment:
    """Each rule has a condition, and divides its units; some require another flag, or a saved group."""
    groups = {
        "some": SavedGroup("id", [f"unit-{each}" for each in range(0, 10_000, 3)]),
        "few": SavedGroup("age", [1, 8]),
    }
    flags: dict[str, FeatureFlag] = {}
    while len(flags) < count:
        rules = [_rule(draw, flags) for _ in range(draw.randint(1, 2))]
        for number, rule in enumerate(rules):
            rule["id"] = f"r{number}"
        name = f"f{len(flags):03}"
        flag = read_flag({"type": "number", "default": -1, "rules": rules})
        with suppress(FlagError):  # text that clients order in another way
            check_environment(FlagEnvironment(TYPES, groups, {**flags, name: flag}))
            flags[name] = flag
    return FlagEnvironment(TYPES, groups, flags)


def random_units(draw: random.Random, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Each attribute but ``id`` is missing, null, of its type, or of another one."""
    for number in numbers:
        unit: dict[str, Any] = {"id": f"unit-{number}"}
        for name, type_ in TYPES.items():
            match draw.randrange(6) if name != "id" else 0:
                case 1:
                    unit[name] = None
                case 2:
                    unit[name] = draw.choice(WILD)
                case 3 | 4 | 5:
                    unit[name] = _value(draw, type_)
                case _:
                    pass
        yield unit


def _rule(draw: random.Random, flags: dict[str, FeatureFlag]) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "where": random_where(draw),
        "coverage": draw.choice((1.0, 0.3, 0.75)),
        "variations": [
            {"name": f"v{each}", "value": each, "weight": draw.choice((1, 2, 0.1, 7))}
            for each in range(draw.choice((2, 3, 5)))
        ],
    }
    if draw.random() < 0.2:
        rule["namespace"] = {"name": "shared", "start": draw.choice((0, 0.25)), "end": draw.choice((0.5, 1))}
    if draw.random() < 0.2:
        rule[draw.choice(("inGroups", "notInGroups"))] = [draw.choice(("some", "few"))]
    if flags and draw.random() < 0.2:
        other = draw.choice(list(flags))
        rule["requires"] = [{"flag": other, "where": draw.choice(("value >= 0", "value < 1", "not value = -1"))}]
    return rule


def _constant(draw: random.Random, type_: str) -> str:
    if type_ == "number":
        return repr(draw.choice(NUMBERS))
    return "'" + draw.choice(STRINGS) + "'"


def _value(draw: random.Random, type_: AttributeType) -> Any:
    match type_:
        case "boolean":
            return draw.choice((True, False))
        case "number":
            return draw.choice(NUMBERS)
        case "string":
            return draw.choice(STRINGS)
        case _:
            pool: Sequence[Any] = STRINGS if type_ == "strings" else NUMBERS
            return [draw.choice(pool) for _ in range(draw.randrange(4))]


def payload(environment: FlagEnvironment) -> dict[str, Any]:
    groups = {name: list(each.values) for name, each in environment.groups.items()}
    return {"features": environment.client_features, "savedGroups": groups}


def ours(environment: FlagEnvironment, units: Sequence[dict[str, Any]]) -> list[list[Any]]:
    sent = payload(environment)
    contexts = (FlagContext(each, sent["features"], sent["savedGroups"]) for each in units)
    return [[evaluate_feature(each, name).value for name in sorted(sent["features"])] for each in contexts]


def by_matching(environment: FlagEnvironment, units: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """As a server decides flags that clients are not sent: by ``core.matching``, without GrowthBook's conditions."""
    from msgspec.structs import replace

    hidden = {name: replace(each, server_only=True) for name, each in environment.flags.items()}
    server = FlagEnvironment(environment.attributes, environment.groups, hidden)
    return [[found.value for _, found in sorted(evaluate_flags(server, each).items())] for each in units]


def by_python(environment: FlagEnvironment, units: Sequence[dict[str, Any]]) -> list[list[Any]]:
    sent = json.loads(json.dumps(payload(environment)))
    client = GrowthBook(features=sent["features"], savedGroups=sent["savedGroups"])
    found: list[list[Any]] = []
    for each in units:
        client.set_attributes(dict(each))
        found.append([client.eval_feature(name).value for name in sorted(sent["features"])])
    client.destroy()
    return found


def by_javascript(environment: FlagEnvironment, units: Sequence[dict[str, Any]], node: Path) -> list[list[Any]]:
    with tempfile.TemporaryDirectory() as directory:
        sent, lines = Path(directory) / "payload.json", Path(directory) / "units.jsonl"
        sent.write_text(json.dumps(payload(environment)))
        lines.write_text("".join(json.dumps(each) + "\n" for each in units))
        command = ["node", "evaluate.js", str(sent), str(lines)]
        done = subprocess.run(command, cwd=node, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def units_of(seed: int, first: int, units: int) -> list[dict[str, Any]]:
    return list(random_units(random.Random(f"{seed} {first}"), range(first, first + units)))


def differences(expected: Sequence[Sequence[Any]], rows: Sequence[Sequence[Any]]) -> int:
    """The number of decisions that are others."""
    assert [len(row) for row in rows] == [len(row) for row in expected]
    return sum(
        one != other
        for row, theirs in zip(expected, rows, strict=True)
        for one, other in zip(row, theirs, strict=True)
    )


def compare(units: int, flags: int, seed: int, first: int = 0, node: Path | None = None) -> dict[str, int]:
    """The number of decisions, of those that are not the default, and of those in which each differs from ours."""
    environment, people = random_flags(random.Random(seed), flags), units_of(seed, first, units)
    expected = ours(environment, people)
    found = {"matching": by_matching(environment, people), "python": by_python(environment, people)}
    if node:
        found["javascript"] = by_javascript(environment, people, node)
    report = {"decisions": units * flags, "varied": sum(value != -1 for row in expected for value in row)}
    return report | {name: differences(expected, rows) for name, rows in found.items()}
