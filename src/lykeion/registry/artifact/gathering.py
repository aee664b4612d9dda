"""The facts of a model to push: from its directory and from the caller."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lykeion.core import read_json
from lykeion.oci.distribution import is_digest
from lykeion.registry.errors import InvalidModel

from .facts import FILE, Figure, Lineage, ModelFacts, read_facts

_MAX_BYTES = 2**24


def gather(
    directory: Path,
    *,
    metrics: Sequence[str] = (),
    lineage: Mapping[str, str] | None = None,
    parents: Sequence[str] = (),
    name_by_digest: Callable[[str], str] = str,
) -> ModelFacts:
    """From ``lykeion.json`` in the directory, or from the files of ``lykeion train``; arguments override them.

    ``metrics`` are written as ``top1=0.91``; a value that is not JSON is a string. ``lineage`` has the fields of
    Lineage except ``parents``, which ``name_by_digest`` converts to names with a digest. Raises InvalidModel,
    OSError.
    """
    path = directory / FILE
    known = read_facts(path.read_bytes()) if path.is_file() else run_facts(directory)
    told = {field: text for field, text in (lineage or {}).items() if text}
    if parents:
        told_parents = (*known.lineage.parents, *map(name_by_digest, parents))
        known = replace(known, lineage=replace(known.lineage, parents=tuple(dict.fromkeys(told_parents))))
    return ModelFacts({**known.metrics, **dict(map(_metric, metrics))}, replace(known.lineage, **told))


def run_facts(directory: Path) -> ModelFacts:
    """From a run directory of ``lykeion train``: accuracies, the data's digest, the run's name."""
    report, run = _read(directory / "report.json"), _read(directory / "run.json")
    metrics: dict[str, Figure] = {}
    for field, name in (("validation_accuracy", "validation_top1"), ("test_accuracy", "test_top1")):
        value = report.get(field)
        if isinstance(value, float | int):
            metrics[name] = float(value)
    settings: Any = run.get("settings")
    data: Any = cast(dict[str, Any], settings).get("data") if isinstance(settings, dict) else None
    digest: Any = cast(dict[str, Any], data).get("digest") if isinstance(data, dict) else None
    lineage = Lineage(
        run=directory.resolve().name if run else "",
        data=digest if isinstance(digest, str) and is_digest(digest) else "",
    )
    return ModelFacts(metrics, lineage)


def _metric(text: str) -> tuple[str, Figure]:
    name, equals, written = text.partition("=")
    if not equals:
        raise InvalidModel(f"metric {text[:80]!r}: write name=value, as in top1=0.91")
    try:
        value: Any = json.loads(written)
    except ValueError:
        value = written
    return name, value if isinstance(value, float | int | bool | str) else written


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none."""
    try:
        return read_json(path, InvalidModel, limit=_MAX_BYTES)
    except InvalidModel:
        return {}
