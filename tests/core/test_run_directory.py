"""A run directory belongs to one request: the same resumes, another is refused in a line that names what differs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import Invalid, claim_run, working_in


class RunError(Invalid):
    pass


def claim(run: Path, request: dict[str, Any], **about: Any) -> None:
    claim_run(run / "request.json", "search", request, RunError, about=about)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-1e9, 1e9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
REQUESTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


@given(request=REQUESTS)
def test_the_same_request_resumes(tmp_path_factory: pytest.TempPathFactory, request: dict[str, Any]) -> None:
    run = tmp_path_factory.mktemp("run") / "deep"
    claim(run, request)
    before = (run / "request.json").read_bytes()
    claim(run, json.loads(json.dumps(request)))
    assert (run / "request.json").read_bytes() == before
    assert [path.name for path in run.iterdir()] == ["request.json"]


@given(request=REQUESTS, name=st.text(max_size=5), was=st.integers(), now=st.text(max_size=5))
def test_another_request_is_refused_by_the_name_of_what_differs(
    tmp_path_factory: pytest.TempPathFactory, request: dict[str, Any], name: str, was: int, now: str
) -> None:
    run = tmp_path_factory.mktemp("run")
    claim(run, {**request, name: was % 2**63})
    before = (run / "request.json").read_bytes()
    with pytest.raises(RunError, match="holds a search with another") as caught:
        claim(run, {**request, name: now})
    assert f"with another {name}; give another --run" in str(caught.value)
    assert (run / "request.json").read_bytes() == before


def test_what_differs_inside_a_setting_is_named_with_both_values(tmp_path: Path) -> None:
    claim(tmp_path, {"recipe": {"seed": 0, "steps": 3}, "data": "shoes"})
    with pytest.raises(RunError) as caught:
        claim(tmp_path, {"recipe": {"seed": 1, "steps": 4}, "data": "shoes"})
    assert str(caught.value) == (
        f"{tmp_path} holds a search with another recipe.seed; give another --run, or the same request to resume it "
        "(recipe.seed 0, not 1; 1 more differ)"
    )


def test_an_empty_setting_is_not_one_that_is_left_out(tmp_path: Path) -> None:
    claim(tmp_path, {"recipe": {}})
    with pytest.raises(RunError, match="another recipe;"):
        claim(tmp_path, {"recipe": None})


def test_what_is_about_a_run_is_kept_and_not_compared(tmp_path: Path) -> None:
    claim(tmp_path, {"seed": 0}, command=["search", "--seed", "0"])
    claim(tmp_path, {"seed": 0}, command=["search"])
    assert json.loads((tmp_path / "request.json").read_text())["command"] == ["search", "--seed", "0"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1, "a": 2}', "[" * 100_000])
def test_a_damaged_request_is_an_error_of_one_line_that_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "request.json").write_text(text)
    with pytest.raises(RunError, match=r"request\.json: not a search: ") as caught:
        claim(tmp_path, {"seed": 0})
    assert "\n" not in str(caught.value)


def test_a_directory_that_cannot_be_made_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be written .*; give another --run"):
        claim(tmp_path / "file", {"seed": 0})


def test_another_process_is_refused_while_one_works_there(tmp_path: Path) -> None:
    other = "import sys; from pathlib import Path; from lykeion.core import LykeionError, working_in\n"
    other += "with working_in(Path(sys.argv[1]), LykeionError): pass"
    command = [sys.executable, "-c", other, str(tmp_path)]
    with working_in(tmp_path, RunError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (
            f"process {os.getpid()} works in {tmp_path}; wait for it or end it, or give another --run" in done.stderr
        )
        with pytest.raises(RunError, match="works in"), working_in(tmp_path, RunError):
            pass
    assert subprocess.run(command, check=False).returncode == 0
