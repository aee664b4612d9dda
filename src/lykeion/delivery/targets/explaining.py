"""Why a device gets what it gets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lykeion.delivery.errors import NoSuchTarget
from lykeion.delivery.tuf import files_of, read_state, records_of
from lykeion.device import SignedTarget

from .device_classes import Verdict, class_of
from .published_records import read_record


@dataclass(frozen=True)
class Explanation:
    """``target`` is None where the version has none for the class."""

    device_class: str
    verdicts: tuple[Verdict, ...]
    target: SignedTarget | None


def explain(home: Path, model: str, attributes: Mapping[str, Any], version: int | None = None) -> Explanation:
    """The class of a device with these attributes, and its target of a version, by default the newest.

    Raises NoSuchTarget.
    """
    records = records_of(files_of(read_state(home), model)).values()
    number = version or max((record.version for record in records), default=0)
    if not number:
        raise NoSuchTarget(f"no version of {model[:80]!r} is published")
    name, verdicts = class_of(read_record(home, model, number).classes, attributes)
    target = next((each for each in records if (each.version, each.device_class) == (number, name)), None)
    return Explanation(name, tuple(verdicts), target)
