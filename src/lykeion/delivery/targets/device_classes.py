"""Classes of devices, from a file: which a device belongs to, and which file of a version each class runs.

    goal: latency_ms <= 40, minimise size_bytes
    classes:
      - name: phone-low
        where: memory_mb < 2000
        report: phone-low.json          # of lykeion engines bench --out; relative to this file
      - name: any                       # the last one has no where: it takes all others
        report: any.json

The first class whose ``where`` is true of a device's attributes is the device's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lykeion.core import read_yaml
from lykeion.core.expression import WhereError
from lykeion.core.fields import Field, Fields
from lykeion.core.grammar import parse
from lykeion.core.matching import matches
from lykeion.delivery.errors import DeliveryError
from lykeion.device import is_model_name
from lykeion.engines.choosing import BenchReport, BenchResult, FleetError, cover, parse_goal, read_report

MAX_CLASSES = 64


@dataclass(frozen=True)
class DeviceClass:
    """``where`` is empty for the class that takes all others."""

    name: str
    where: str
    report: Path

    def to_json(self) -> dict[str, str]:
        return {name: str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class ClassFile:
    goal: str
    classes: tuple[DeviceClass, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether a class takes a device, and why."""

    device_class: str
    takes: bool
    reason: str


def read_class_file(path: Path) -> ClassFile:
    """Raises DeliveryError, naming the field."""
    given = read_yaml(path, DeliveryError)
    given.only("goal", "classes")
    classes = tuple(_class(item.fields(), path.parent) for item in given.required("classes", Field.items))
    check_order(classes, str(path))
    return ClassFile(given.optional("goal", Field.text, ""), classes)


def check_order(classes: Sequence[DeviceClass], where: str) -> None:
    """Raises DeliveryError if the last class, or not only the last one, takes everything."""
    names = [each.name for each in classes]
    if not 1 <= len(names) <= MAX_CLASSES or len(set(names)) < len(names):
        raise DeliveryError(f"{where}: give from 1 to {MAX_CLASSES} classes, each with a name of its own")
    for each in classes[:-1]:
        if not each.where:
            raise DeliveryError(f"{where}: {each.name} has no where, so no device is in a class after it")
    if classes[-1].where:
        raise DeliveryError(f"{where}: the last class, {names[-1]}, must have no where: it takes all others")


def class_of(classes: Sequence[DeviceClass], attributes: Mapping[str, Any]) -> tuple[str, list[Verdict]]:
    """A device's class, and a verdict on each class up to it."""
    verdicts: list[Verdict] = []
    for each in classes:
        verdicts.append(_verdict(each, attributes))
        if verdicts[-1].takes:
            return each.name, verdicts
    raise DeliveryError("no class takes the device; the last one must have no where")


def chosen(file: ClassFile, digests: Collection[str], goal: str = "") -> dict[str, BenchResult]:
    """By class, what its devices run: the fewest of the files with these digests that meet the goal everywhere.

    Raises DeliveryError where a class has none, ReportError, GoalError.
    """
    wanted = goal or file.goal
    if not wanted:
        raise DeliveryError(
            "no goal: give --goal, or goal in the file of classes: latency_ms <= 40, minimise size_bytes"
        )
    reports = {each.name: _of_these(read_report(each.report), digests) for each in file.classes}
    for each in file.classes:
        if not reports[each.name].results:
            raise DeliveryError(
                f"{each.report}: it measured no file of this version; run lykeion engines bench again"
            )
    try:
        found = cover(reports, parse_goal(wanted))
    except FleetError as error:
        raise DeliveryError(str(error)) from None
    if found.unserved:
        raise DeliveryError(f"no file of this version meets {wanted!r} on {', '.join(found.unserved)}")
    return dict(found.served)


def _of_these(report: BenchReport, digests: Collection[str]) -> BenchReport:
    return replace(report, results=tuple(each for each in report.results if each.digest in digests))


def _class(given: Fields, folder: Path) -> DeviceClass:
    given.only("name", "where", "report")
    name = given.required("name", Field.text)
    if not is_model_name(name):
        raise DeliveryError(f"{given.where}: {name[:80]!r} is no name: use lower-case letters, digits and ._-")
    where = given.optional("where", Field.text, "")
    try:
        if where:
            parse(where)
    except WhereError as error:
        raise DeliveryError(f"{given.where}: where: {error}") from None
    return DeviceClass(name, where, folder / given.required("report", Field.text))


def _verdict(each: DeviceClass, attributes: Mapping[str, Any]) -> Verdict:
    if not each.where:
        return Verdict(each.name, True, "takes all others")
    try:
        takes = matches(parse(each.where), attributes)
    except WhereError as error:
        return Verdict(each.name, False, str(error))
    return Verdict(each.name, takes, f"{each.where} is {'true' if takes else 'not true'}")
