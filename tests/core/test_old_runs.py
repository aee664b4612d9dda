"""Run directories and journals of an earlier release, in tests/fixtures/runs-v1, are resumed by this one."""

import json
import shutil
from pathlib import Path

import pytest

from lykeion.compress.sensitivity import _Measured
from lykeion.core import LykeionError, claim_run
from lykeion.engines.choosing import TimingJournal
from lykeion.engines.running import Pass
from lykeion.nas.strategies.children import read_rows

RUNS = Path(__file__).parents[1] / "fixtures" / "runs-v1"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(RUNS, tmp_path / "runs"))


@pytest.mark.parametrize(
    ("file", "about"),
    [
        ("training/run.json", ("command", "versions", "machine")),
        ("compression/run.json", ()),
        ("search/request.json", ()),
    ],
)
def test_an_old_run_is_resumed_by_its_request_and_by_no_other(old: Path, file: str, about: tuple[str, ...]) -> None:
    request = {name: value for name, value in json.loads((RUNS / file).read_text()).items() if name not in about}
    claim_run(old / file, "run", request, LykeionError, about=dict.fromkeys(about, "another"))
    assert (old / file).read_bytes() == (RUNS / file).read_bytes()
    with pytest.raises(LykeionError, match="holds a run with another version"):
        claim_run(old / file, "run", {**request, "version": 99}, LykeionError)


def test_old_journals_are_read_and_appended_to(old: Path) -> None:
    timings = TimingJournal(old / "timings.jsonl", {"threads": 1})
    turn = Pass(1.0, 1.5, 2.0, 2.5, 3)
    assert timings.read() == [("a", turn)]
    timings.append("b", turn)
    assert [name for name, _ in timings.read()] == ["a", "b"]
    measured = _Measured(old / "scan.jsonl")
    assert measured.of("sha256:3", lambda: pytest.fail("measured again")) == 0.75
    assert measured.of("sha256:5", lambda: 0.5) == 0.5
    assert _Measured(old / "scan.jsonl").of("sha256:5", lambda: 0.0) == 0.5
    assert [row["accuracy"] for row in read_rows(old / "children.jsonl")] == [0.5]
