"""``lykeion rollout simulate``: the ends of simulated rollouts, and whether the first wave is large enough."""

import json

import pytest
from click.testing import CliRunner, Result

from lykeion.cli import app
from lykeion.core import DONE_BUT, LykeionError


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rollout", "simulate", *arguments], catch_exceptions=False)


def test_a_fleet_that_is_large_enough_sees_what_its_rule_names() -> None:
    found = _run(
        "--devices", "20000", "--waves", "10%,100%", "--soak", "10d", "--runs", "20", "--halt", "crash x10", "--json"
    )
    document = json.loads(found.stdout)
    assert found.exit_code == 0
    assert [(each["end"], each["wave"], each["share"]) for each in document["ends"]] == [("Complete", 2, 1.0)]
    assert document["rules"][0]["caught"] >= 0.95


def test_a_fleet_that_is_too_small_is_told_by_the_exit_code_and_in_words() -> None:
    found = _run("--devices", "300", "--runs", "5")
    assert found.exit_code == DONE_BUT
    assert "a larger first wave is needed" in found.stdout


@pytest.mark.slow
def test_a_bricked_fleet_is_halted_in_its_first_wave() -> None:
    arguments = ("--soak", "7d", "--halt", "silence x2", "--rate", "silence=0.5%", "--bricked", "0.3", "--runs", "10")
    ends = json.loads(_run("--devices", "20000", *arguments, "--json").stdout)["ends"]
    assert [(each["end"], each["wave"]) for each in ends] == [("Harm", 1)]


@pytest.mark.parametrize("wrong", [("--halt", "crash"), ("--waves", "10"), ("--rate", "crash"), ("--soak", "3")])
def test_what_cannot_be_read_is_one_line(wrong: tuple[str, str]) -> None:
    with pytest.raises(LykeionError) as raised:
        _run("--devices", "1000", *wrong)
    assert "\n" not in str(raised.value)
