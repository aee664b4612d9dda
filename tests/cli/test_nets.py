import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import LykeionError
from lykeion.nets import NETWORKS, count, find


def run(*arguments: str) -> str:
    return CliRunner().invoke(app, ["nets", *arguments], catch_exceptions=False).stdout


def test_the_list_has_every_network_with_its_counts() -> None:
    listed = json.loads(run("list", "--json"))["networks"]
    assert [network["name"] for network in listed] == list(NETWORKS)
    for network in listed:
        counts = count(find(network["name"]))
        assert (network["parameters"], network["multiply_adds"]) == (counts.parameters, counts.multiply_adds)
    assert "3.54 M" in run("list")


@pytest.mark.parametrize("per", ["rows", "layers"])
def test_the_parts_of_a_network_add_up_to_the_whole(per: str) -> None:
    arguments = ["--layers"] if per == "layers" else []
    shown = json.loads(run("show", "mobilenet-v3-small-0.75@96", "--classes", "10", "--json", *arguments))
    assert shown["photo"] == [96, 96, 3]
    assert sum(part["parameters"] for part in shown[per]) == shown["parameters"]
    assert sum(part["multiply_adds"] for part in shown[per]) == shown["multiply_adds"]
    assert sum(part["share"] for part in shown[per]) == pytest.approx(1)
    assert shown[per][-1]["shape"] == [10]


def test_the_table_shows_shapes_and_totals() -> None:
    table = run("show", "mobilenet-v2")
    assert "112×112×32" in table
    assert "3,538,984" in table
    assert "300,774,272" in table


def test_an_exported_network_is_shown_from_its_file_and_drawn(tmp_path: Path) -> None:
    exported, picture = tmp_path / "mine.json", tmp_path / "mine.png"
    run("show", "mobilenet-v1-0.5@128", "--channels", "1", "--export", str(exported))
    run("show", str(exported), "--png", str(picture))
    assert find(str(exported)).channels == 1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(LykeionError, match=r"a\.png: cannot be written") as caught:
        run("show", "mobilenet-v2", "--png", str(tmp_path / "none" / "a.png"))
    assert "\n" not in str(caught.value)
