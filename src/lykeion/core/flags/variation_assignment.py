"""The variation of an experiment that a unit gets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from lykeion.core.bucketing import bucket_of, bucket_ranges, choose_variation, in_namespace

from .attribute_conditions import satisfies
from .flag_context import Document, FlagContext, is_filtered_out


@dataclass(frozen=True)
class ExperimentResult:
    """``variation`` counts from 0; 0 as well if the unit is not ``in_experiment``. ``key`` names the variation."""

    variation: int
    value: Any
    key: str
    in_experiment: bool
    by_hash: bool
    attribute: str = "id"
    unit: str = ""
    bucket: float | None = None
    sticky: bool = False
    """Whether it is an assignment that was kept."""
    keep: Mapping[str, Document] = field(default_factory=dict[str, Document])
    """The assignment to keep from now on, as in ``FlagContext.sticky``."""
    passes_through: bool = False
    feature: str = ""


ParentsHold = Callable[[Sequence[Document]], bool]
"""Whether the features that an experiment depends on have the values that it needs."""


def assign_variation(context: FlagContext, experiment: Document, parents_hold: ParentsHold) -> ExperimentResult:
    """The variation of an experiment that the unit of ``context`` gets."""
    variations, key = experiment["variations"], experiment["key"]
    if len(variations) < 2 or not context.enabled:
        return _outside(context, experiment)
    if (forced := _by_url(context.url, key, len(variations))) is not None:
        return _result(context, experiment, forced)
    if key in context.forced:
        return _result(context, experiment, context.forced[key])
    _, unit = _unit(context, experiment)
    if experiment.get("active") is False or experiment.get("status") == "draft" or not unit:
        return _outside(context, experiment)
    kept = _kept(context, experiment)
    if kept is None and not _includes(context, experiment, unit, parents_hold):
        return _outside(context, experiment)
    version = experiment.get("hashVersion") or 1
    if version not in (1, 2):
        return _outside(context, experiment)
    bucket = bucket_of(experiment.get("seed") or key, unit, version)
    if kept == -1:
        return _outside(context, experiment, sticky=True)
    chosen = kept if kept is not None else choose_variation(bucket, _ranges(experiment))
    if chosen is None:
        return _outside(context, experiment)
    if "force" in experiment:
        return _result(context, experiment, experiment["force"])
    if context.only_forced or experiment.get("status") == "stopped":
        return _outside(context, experiment)
    return _result(context, experiment, chosen, bucket, kept is not None)


def _ranges(experiment: Document) -> list[tuple[float, float]]:
    if ranges := experiment.get("ranges"):
        return [(start, end) for start, end in ranges]
    coverage = experiment.get("coverage")
    return bucket_ranges(
        len(experiment["variations"]), 1.0 if coverage is None else coverage, experiment.get("weights")
    )


def _includes(context: FlagContext, experiment: Document, unit: str, parents_hold: ParentsHold) -> bool:
    if filters := experiment.get("filters"):
        if is_filtered_out(context, filters):
            return False
    elif namespace := experiment.get("namespace"):
        name, start, end = namespace
        if not in_namespace(unit, name, (start, end)):
            return False
    if not satisfies(context.attributes, experiment.get("condition") or {}, context.groups):
        return False
    return parents_hold(experiment.get("parentConditions") or ())


def _kept(context: FlagContext, experiment: Document) -> int | None:
    """The variation that was kept, None without one, -1 if the unit has one of a version that is blocked."""
    if context.sticky is None or experiment.get("disableStickyBucketing"):
        return None
    assignments: dict[str, str] = {}
    for attribute in (experiment.get("fallbackAttribute") or "", experiment.get("hashAttribute") or "id"):
        name, unit = context.unit(attribute)
        assignments |= context.sticky.get(f"{name}||{unit}", {}).get("assignments", {})
    key = experiment["key"]
    blocked = range(experiment.get("minBucketVersion") or 0)
    if any(f"{key}__{version}" in assignments for version in blocked):
        return -1
    kept = assignments.get(_kept_name(experiment))
    keys = [_key(experiment, index) for index in range(len(experiment["variations"]))]
    return keys.index(kept) if kept in keys else None


def _kept_name(experiment: Document) -> str:
    return f"{experiment['key']}__{experiment.get('bucketVersion') or 0}"


def _key(experiment: Document, variation: int) -> str:
    meta = experiment.get("meta") or ()
    return (meta[variation].get("key") if variation < len(meta) else None) or str(variation)


def _unit(context: FlagContext, experiment: Document) -> tuple[str, str]:
    sticky = context.sticky is not None and not experiment.get("disableStickyBucketing")
    fallback = experiment.get("fallbackAttribute") if sticky else ""
    return context.unit(experiment.get("hashAttribute") or "id", fallback or "")


def _by_url(url: str, key: str, count: int) -> int | None:
    """A variation that the query of an address asks for: ``?my-test=1``."""
    values = parse_qs(urlsplit(url).query).get(key, [""])
    return int(values[0]) if values[0].isascii() and values[0].isdigit() and int(values[0]) < count else None


def _outside(context: FlagContext, experiment: Document, sticky: bool = False) -> ExperimentResult:
    attribute, unit = _unit(context, experiment)
    value, key = (experiment["variations"] or [None])[0], _key(experiment, 0)
    return ExperimentResult(0, value, key, False, False, attribute, unit, sticky=sticky)


def _result(
    context: FlagContext, experiment: Document, variation: int, bucket: float | None = None, sticky: bool = False
) -> ExperimentResult:
    """With a bucket if the unit was assigned by its hash, or had been."""
    if not 0 <= variation < len(experiment["variations"]):
        return _outside(context, experiment)
    attribute, unit = _unit(context, experiment)
    key, meta = _key(experiment, variation), experiment.get("meta") or ()
    keep: dict[str, Document] = {}
    if bucket is not None and context.sticky is not None and not experiment.get("disableStickyBucketing"):
        name = f"{attribute}||{unit}"
        before = context.sticky.get(name, {}).get("assignments", {})
        kept = {
            "attributeName": attribute,
            "attributeValue": unit,
            "assignments": {**before, _kept_name(experiment): key},
        }
        keep = {name: kept}
    return ExperimentResult(
        variation=variation,
        value=experiment["variations"][variation],
        key=key,
        in_experiment=True,
        by_hash=bucket is not None,
        attribute=attribute,
        unit=unit,
        bucket=bucket,
        sticky=sticky,
        keep=keep,
        passes_through=bool(variation < len(meta) and meta[variation].get("passthrough")),
    )
