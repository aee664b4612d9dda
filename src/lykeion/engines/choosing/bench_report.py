"""Measurements on a device, as data: a JSON file from which another machine can choose."""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lykeion.core import Invalid, fitting, read_json_as, write_atomically, writing
from lykeion.engines.running import Machine

SCHEMA = "lykeion.bench"
VERSION = 1
MAX_REPORT_BYTES = 16 << 20
MAX_RESULTS = 100_000


class ReportError(Invalid):
    """A report of measurements that cannot be read or written; the message names the file."""


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One model on one engine. ``latency_ms`` is the minimum over all runs; ``spread`` is how far the second best
    pass was above it, as a share. Fields that are None were not measured."""

    model: str
    digest: str
    engine: str
    engine_version: str
    threads: int
    precision: str
    size_bytes: int
    multiply_adds: int
    latency_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    spread: float
    runs: int
    energy_uj: float
    energy_source: str
    cold_start_ms: float | None = None
    memory_bytes: int | None = None
    top1: float | None = None
    preprocess_ms: float | None = None
    postprocess_ms: float | None = None

    @property
    def name(self) -> str:
        return f"{self.model} · {self.engine} · {self.threads}"

    @property
    def known(self) -> dict[str, Any]:
        """The fields that were measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class RefusedCase:
    """A model that an engine cannot run, and the reason in one line."""

    model: str
    engine: str
    threads: int
    reason: str


@dataclass(frozen=True, slots=True)
class BenchReport:
    """``busy`` says how busy the machine was: how far the reference's median pass was above its best, as a share."""

    machine: Machine
    results: tuple[BenchResult, ...]
    refused: tuple[RefusedCase, ...]
    busy: float

    def to_json(self) -> dict[str, Any]:
        """A JSON value for ``from_json``."""
        return {"schema": SCHEMA, "version": VERSION, **asdict(self)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "BenchReport":
        """Raises ReportError."""
        with fitting(ReportError, "report of lykeion engines bench"):
            if (plain["schema"], plain["version"]) != (SCHEMA, VERSION):
                raise ReportError(
                    f"schema {plain['schema']!r}, version {plain['version']!r}; this release reads {SCHEMA!r}, "
                    f"version {VERSION}"
                )
            if len(plain["results"]) > MAX_RESULTS:
                raise ReportError(f"more than {MAX_RESULTS:,} results")
            return cls(
                Machine(**plain["machine"]),
                tuple(_result(each) for each in plain["results"]),
                tuple(RefusedCase(**each) for each in plain["refused"]),
                float(plain["busy"]),
            )


def read_report(path: Path) -> BenchReport:
    """Raises ReportError, which names the file."""
    return read_json_as(BenchReport.from_json, path, ReportError, "report", limit=MAX_REPORT_BYTES)


def write_report(report: BenchReport, path: Path) -> None:
    """Raises ReportError."""
    with writing(path, ReportError):
        write_atomically(path, (json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n").encode())


def _result(plain: Mapping[str, Any]) -> BenchResult:
    made = BenchResult(**plain)
    for field in fields(made):
        value, kind = getattr(made, field.name), field.type
        if kind is str:
            good = isinstance(value, str)
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            good = (number and 0 <= value <= sys.float_info.max) or (value is None and "None" in str(kind))
        if not good:
            raise ReportError(f"field {field.name!r} is {str(value)[:60]!r}")
    return made
