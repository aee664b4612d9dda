"""What signed metadata may say of a target, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical

from lykeion.core import LykeionError
from lykeion.device import (
    METHODS,
    CompanionFile,
    Delta,
    ModelLimits,
    NewerRecord,
    RecordError,
    SignedTarget,
    read_limits,
    read_target,
)
from lykeion.device.signed_target import MAX_FILE_BYTES, runs_on

DIGEST = "sha256:" + "0f" * 32
TARGET = SignedTarget("shoes", 7, DIGEST, "any", "litert", 2, "2.1.0", "3", DIGEST, 1_000, "lykpack")

names = st.from_regex(r"[a-z0-9]([a-z0-9_-]{0,20}[a-z0-9])?", fullmatch=True)
digests = st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True)
sizes = st.integers(1, MAX_FILE_BYTES)
deltas = st.builds(Delta, digests, st.sampled_from(METHODS), digests, sizes)
targets = st.builds(
    SignedTarget,
    model=names,
    version=st.integers(1, 999_999_999),
    manifest=digests,
    device_class=names,
    engine=names,
    threads=st.integers(1, 1_024),
    runtime_from=st.from_regex(r"[0-4]\.[0-9]{1,3}(\.[0-9]{1,3})?", fullmatch=True),
    runtime_below=st.from_regex(r"[5-9](\.[0-9]{1,3})?", fullmatch=True),
    file=digests,
    file_bytes=sizes,
    packing=st.sampled_from(("none", "lykpack")),
    space=st.just("") | digests,
    recall_permille=st.integers(0, 1_000),
    latency_us=st.integers(0, 3_600_000_000),
    deltas=st.lists(deltas, max_size=8).map(tuple),
    companion=st.none() | st.builds(CompanionFile, digests, sizes),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(targets)
def test_a_record_is_read_as_it_was_written_and_fits_canonical_json(target: SignedTarget) -> None:
    plain = target.to_json()
    assert read_target(plain, target.path) == target
    assert encode_canonical(plain)


@given(st.builds(ModelLimits, names, st.integers(1, 999_999_999), st.lists(digests, max_size=9).map(tuple)))
def test_limits_are_read_as_they_were_written(limits: ModelLimits) -> None:
    assert read_limits(limits.to_json(), limits.path) == limits


@given(json_values)
def test_whatever_else_is_signed_is_refused_in_one_line(value: Any) -> None:
    for read in (read_target, read_limits):
        with pytest.raises(LykeionError) as refused:
            read(value, "shoes/v7/any")
        assert "\n" not in str(refused.value)


@given(targets, st.data())
def test_a_record_with_one_field_changed_is_read_as_such_or_refused(
    target: SignedTarget, data: st.DataObject
) -> None:
    plain = target.to_json()
    field = data.draw(st.sampled_from(sorted(plain)))
    plain[field] = data.draw(json_values)
    try:
        found = read_target(plain, target.path)
    except LykeionError:
        return
    assert read_target(found.to_json(), target.path) == found


@pytest.mark.parametrize("field", sorted(set(TARGET.to_json()) - {"schema"}))
def test_a_missing_field_is_named(field: str) -> None:
    plain = TARGET.to_json()
    del plain[field]
    with pytest.raises(RecordError, match=f"shoes/v7/any lacks the field '{field}'"):
        read_target(plain, TARGET.path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", "../etc"),
        ("model", "a..b"),
        ("device_class", "a/b"),
        ("version", True),
        ("version", 0),
        ("file_bytes", MAX_FILE_BYTES + 1),
        ("file", "sha256:xyz"),
        ("threads", 10_000),
        ("packing", "gzip"),
        ("runtime_from", "3"),
        ("runtime_from", "9" * 400),
        ("deltas", [{}] * 9),
        ("colour", "red"),
    ],
)
def test_a_value_out_of_bounds_is_refused(field: str, value: Any) -> None:
    with pytest.raises(RecordError):
        read_target({**TARGET.to_json(), field: value}, TARGET.path)


def test_a_record_of_another_model_version_or_class_is_refused() -> None:
    for other in (replace(TARGET, model="hats"), replace(TARGET, version=8), replace(TARGET, device_class="low")):
        with pytest.raises(RecordError, match=f"its record is of {other.path}"):
            read_target(other.to_json(), TARGET.path)


def test_a_record_of_a_newer_release_asks_for_an_update_of_the_software() -> None:
    with pytest.raises(NewerRecord, match="update the software"):
        read_target({**TARGET.to_json(), "schema": 2, "novelty": 1}, TARGET.path)


def test_a_runtime_is_in_range_from_the_first_and_below_the_second_version() -> None:
    versions = {
        "2.0.9": False,
        "2.1": True,
        "2.1.0": True,
        "2.10.3+cpu": True,
        "3": False,
        "3.0.1": False,
        "x": False,
    }
    assert {version: runs_on(TARGET, version) for version in versions} == versions


def test_limits_forbid_versions_below_the_minimum_and_revoked_files() -> None:
    limits = ModelLimits("shoes", 5, (DIGEST,))
    other = DIGEST.replace("0", "1")
    assert [limits.allows(*each) for each in ((4, other), (5, other), (6, DIGEST))] == [False, True, False]
