"""Flags and experiments are evaluated as GrowthBook's clients evaluate them: its published cases.

Left out are ``decrypt`` and ``urlRedirect``, which are of pages in browsers: nothing here encrypts or redirects.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core.flags import ExperimentResult, FlagContext, evaluate_feature, run_experiment, satisfies

ATTRIBUTE_OPERATORS = (
    *("$or", "$nor", "$and", "$not", "$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$exists", "$in", "$nin", "$all"),
    *("$regex", "$regexi", "$notRegex", "$type", "$vgt", "$size", "$elemMatch", "$inGroup", "$notInGroup", "$alli"),
)
CASES = json.loads((Path(__file__).parents[1] / "fixtures/growthbook/cases.json").read_bytes())


def _cases(part: str) -> Any:
    return pytest.mark.parametrize("case", CASES[part], ids=lambda case: case[0])


def _context(given: dict[str, Any], **more: Any) -> FlagContext:
    return FlagContext(
        given.get("attributes", {}),
        given.get("features", {}),
        given.get("savedGroups", {}),
        given.get("forcedVariations", {}),
        enabled=given.get("enabled", True),
        only_forced=given.get("qaMode", False),
        url=given.get("url", ""),
        **more,
    )


@_cases("evalCondition")
def test_conditions(case: list[Any]) -> None:
    _, condition, attributes, expected, *groups = case
    assert satisfies(attributes, condition, groups[0] if groups else {}) == expected


LEAVES = st.sampled_from([None, True, 10**400, "1.2.3", "("]) | st.integers() | st.floats() | st.text()
OPERATORS = st.sampled_from([*ATTRIBUTE_OPERATORS, "$unknown", "a", "a.b"])
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(OPERATORS, inner, max_size=3))


@given(st.dictionaries(OPERATORS, JSON, max_size=3), st.dictionaries(st.sampled_from(["a", "b"]), JSON, max_size=2))
def test_no_condition_is_an_error(condition: dict[str, Any], attributes: dict[str, Any]) -> None:
    assert satisfies(attributes, condition, {}) in (True, False)


@_cases("feature")
def test_features(case: list[Any]) -> None:
    _, given, name, expected = case
    found = evaluate_feature(_context(given), name)
    assert (found.value, found.on, found.source) == (expected["value"], expected["on"], expected["source"])
    assert found.rule == expected.get("ruleId", found.rule)
    assert (found.experiment is not None) == ("experimentResult" in expected)
    if found.experiment:
        assert _as_theirs(found.experiment, expected["experimentResult"]) == expected["experimentResult"]


@_cases("run")
def test_experiments(case: list[Any]) -> None:
    _, given, experiment, value, in_experiment, by_hash = case
    found = run_experiment(_context(given), experiment)
    assert (found.value, found.in_experiment, found.by_hash) == (value, in_experiment, by_hash)


@_cases("stickyBucket")
def test_assignments_that_are_kept(case: list[Any]) -> None:
    _, given, documents, name, expected, kept = case
    sticky = {f"{each['attributeName']}||{each['attributeValue']}": each for each in documents}
    found = evaluate_feature(_context(given, sticky=sticky), name).experiment
    assert (found and _as_theirs(found, expected)) == expected
    keep = found.keep if found else {}
    assert {name: {**sticky.get(name, {}), **keep.get(name, {})} for name in kept} == kept


@_cases("getQueryStringOverride")
def test_variations_that_an_address_asks_for(case: list[Any]) -> None:
    _, key, url, count, expected = case
    found = run_experiment(FlagContext({}, url=url), {"key": key, "variations": list(range(count))})
    assert (found.variation if found.in_experiment else None) == expected


def _as_theirs(found: ExperimentResult, expected: dict[str, Any]) -> dict[str, Any]:
    """The fields that the case has; a unit is always a text."""
    theirs = {
        "bucket": found.bucket,
        "featureId": found.feature,
        "hashAttribute": found.attribute,
        "hashUsed": found.by_hash,
        "hashValue": found.unit,
        "inExperiment": found.in_experiment,
        "key": found.key,
        "stickyBucketUsed": found.sticky,
        "value": found.value,
        "variationId": found.variation,
    }
    theirs["hashValue"] = expected["hashValue"] if str(expected.get("hashValue")) == found.unit else found.unit
    return {name: theirs.get(name, value) for name, value in expected.items()}
