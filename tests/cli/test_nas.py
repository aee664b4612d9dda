import json
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from lykeion.cli import app
from lykeion.core import Reporter
from lykeion.engines.choosing import DeviceProfile, read_profile, write_profile
from lykeion.nas import format_genotype, pixel1
from lykeion.nas.devices import profiling
from lykeion.nets import find
from tests.nas.published import PUBLISHED_SINGLE_PATH

PUBLISHED = format_genotype(PUBLISHED_SINGLE_PATH)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["nas", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


def test_the_spaces_are_listed_with_their_sizes() -> None:
    listed = json.loads(run("space", "list", "--json").stdout)["spaces"]
    assert {each["name"]: each["networks"] for each in listed}["single-path"] == 4**5 * 5**15
    assert "mobilenetv3-32" in run("space", "list").stdout


def test_a_space_shows_its_slots() -> None:
    shown = json.loads(run("space", "show", "single-path", "--json").stdout)
    assert len(shown["slots"]) == 20
    assert shown["slots"][1]["choices"] == ["k3e3", "k3e6", "k5e3", "k5e6", "skip"]
    assert "56×56×24" in run("space", "show", "single-path").stdout


def test_a_network_of_a_space_shows_its_latency_and_modelled_energy_and_is_written(tmp_path: Path) -> None:
    arguments = ("space", "show", "single-path", "--network", PUBLISHED, "--device", "pixel1")
    shown = json.loads(run(*arguments, "--out", tmp_path / "network.json", "--json").stdout)
    assert shown["predicted_ms"] == pytest.approx(80.44, abs=0.01)
    assert shown["trainable"] == 4_421_616
    assert shown["modelled_energy_uj"] > 0
    assert find(str(tmp_path / "network.json")).to_json() == shown["architecture"]
    table = run(*arguments).stdout
    assert "80.44" in table
    assert "modelled" in table


def test_a_profile_is_shown_and_drawn(tmp_path: Path) -> None:
    write_profile(replace(pixel1(), name="mine"), tmp_path / "mine.json")
    assert json.loads(run("profile", "--show", tmp_path / "mine.json", "--json").stdout)["name"] == "mine"
    shown = run("profile", "--show", "pixel1", "--png", tmp_path / "pixel1.png").stdout
    assert "11.59" in shown
    assert (tmp_path / "pixel1.png").read_bytes().startswith(b"\x89PNG")


def test_this_machine_is_profiled_and_the_journal_goes_when_the_profile_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(space: object, *, threads: int, journal: Path, reporter: Reporter) -> DeviceProfile:
        journal.write_text("passes")
        return replace(pixel1(), threads=threads)

    monkeypatch.setattr(profiling, "profile_host", measured)
    assert "Pixel" in run("profile", "--threads", 2, "--out", tmp_path / "here.json", "-q").stdout
    assert read_profile(tmp_path / "here.json").threads == 2
    assert [path.name for path in tmp_path.iterdir()] == ["here.json"]


def test_blocks_are_exported_for_a_phone(tmp_path: Path) -> None:
    made = json.loads(
        run("profile", "--export", tmp_path / "blocks", "--space", "single-path-32", "-q", "--json").stdout
    )
    assert made["files"] == len(list((tmp_path / "blocks" / "blocks").iterdir()))
    assert (tmp_path / "blocks" / "run.sh").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("profile",), "--out FILE"),
        (("profile", "--device", "Pixel 8", "--out", "x"), "--export and --import"),
        (("profile", "--show", "a", "--export", "b"), "exclude one another"),
        (("profile", "--show", "pixel1", "--out", "b"), "leave out --out"),
        (("profile", "--export", "b", "--png", "c.png"), "leave out --png"),
        (("profile", "--import", "b", "--out", "c", "--threads", "2"), "leave out --threads"),
        (("space", "show", "single-path", "--device", "pixel1"), "need a --network"),
    ],
)
def test_options_that_make_no_sense_are_explained(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(click.UsageError, match=says):
        run(*arguments)
