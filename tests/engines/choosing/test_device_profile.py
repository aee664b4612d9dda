import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.engines.choosing import DeviceProfile, Noise, ProfileError, entry_key, read_profile, write_profile

PROFILE = DeviceProfile(
    "a box", "some SoC", "LiteRT", "2.3.0", 2, "float32", "mobilenetv3-32", "a test", "2026-11-24T00:00:00+00:00",
    table={"0/k3e3": 0.01, "1/k5e6s": 0.02}, rest_ms=0.03, scale=1.05, offset_ms=-0.001, fitted_on=12,
    noise=Noise(0.3, 0.01, 0.02, 40),
)  # fmt: skip

PUBLISHED = {
    "device": "Phone",
    "engine": "TensorFlow Lite",
    "precision": "float32",
    "source": "a paper",
    "operations": {"k3e3": "3x3, expansion 3", "k5e6": "5x5, expansion 6"},
    "rest": {"latency_ms": 10.5},
    "blocks": [{"k3e3": float(block), "k5e6": block + 0.5} for block in range(4)],
}

ms = st.floats(0, 1e6)


@given(st.dictionaries(st.text(max_size=20), ms, min_size=1), ms, st.floats(0.01, 100), st.floats(-100, 100))
def test_a_profile_comes_back_from_json_as_it_was(
    table: dict[str, float], rest_ms: float, scale: float, offset_ms: float
) -> None:
    profile = replace(PROFILE, table=table, rest_ms=rest_ms, scale=scale, offset_ms=offset_ms)
    assert DeviceProfile.from_json(json.dumps(profile.to_json())) == profile


def test_a_profile_comes_back_from_its_file(tmp_path: Path) -> None:
    for profile in (PROFILE, replace(PROFILE, noise=None)):
        write_profile(profile, tmp_path / "profile.json")
        assert read_profile(tmp_path / "profile.json") == profile


def test_the_published_form_is_read_without_the_blocks_that_its_rest_covers() -> None:
    profile = DeviceProfile.from_json(PUBLISHED)
    assert profile.table == {"0/k3e3": 1.0, "0/k5e6": 1.5, "1/k3e3": 2.0, "1/k5e6": 2.5}
    assert (profile.name, profile.rest_ms, profile.space, profile.threads) == ("Phone", 10.5, "single-path", 1)
    assert entry_key(1, "k5e6") in profile.table


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "other"}, "schema"),
        ({"version": 2}, "version 2; this release reads version 1"),
        ({"table": {}}, "table must hold"),
        ({"table": {"0/k3e3": -1}}, "'0/k3e3' is -1"),
        ({"table": {"0/k3e3": "fast"}}, "'0/k3e3' is 'fast'"),
        ({"table": {"0/k3e3": float("nan")}}, "nan"),
        ({"threads": 0}, "threads is 0"),
        ({"threads": True}, "threads is True"),
        ({"name": 3}, "name is 3"),
        ({"scale": 0}, "scale must be above 0"),
        ({"rest_ms": None}, "rest_ms is None"),
        ({"noise": {"loud": True}}, "not a device profile"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_wrong_profile_is_an_error_of_one_line_that_says_where(change: dict[str, object], says: str) -> None:
    with pytest.raises(ProfileError, match=says) as caught:
        DeviceProfile.from_json(PROFILE.to_json() | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "[" * 100_000, '{"operations": 3}', '{"operations": [], "blocks": {}}']
)
def test_what_is_no_profile_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text(text)
    with pytest.raises(ProfileError, match=r"profile\.json: not a device profile") as caught:
        read_profile(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_or_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"no\.json: cannot read"):
        read_profile(tmp_path / "no.json")
    (tmp_path / "file").touch()
    with pytest.raises(ProfileError, match=r"cannot be written"):
        write_profile(PROFILE, tmp_path / "file" / "profile.json")
