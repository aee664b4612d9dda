import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import LykeionError, working_in
from lykeion.nets import write_architecture
from tests.eager import eager  # noqa: F401 - a fixture
from tests.nets.training.tiny import ARCHITECTURE, write_npz, write_photos

pytest.importorskip("keras")


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    write_architecture(ARCHITECTURE, tmp_path / "tiny.json")
    data = write_npz(tmp_path)
    return [
        "train",
        str(tmp_path / "tiny.json"),
        "--data",
        str(data),
        "--run",
        str(tmp_path / "run"),
        "--batch",
        "40",
    ]


def run(arguments: list[str]) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_is_the_report_alone(arguments: list[str]) -> None:
    report = json.loads(run([*arguments, "--epochs", "2", "--test", "--json"]))
    assert report["name"] == "tiny"
    assert len(report["history"]["epochs"]) == 2
    assert 0 <= report["test_accuracy"] <= 1
    assert Path(report["model"]).is_file()


def test_the_same_command_again_goes_on_and_another_is_refused(arguments: list[str]) -> None:
    first = run([*arguments, "--steps", "3"])
    assert "validation accuracy" in first
    assert run([*arguments, "--steps", "3"]) == first
    with pytest.raises(LykeionError, match=r"recipe\.seed 0, not 1"):
        run([*arguments, "--steps", "3", "--seed", "1"])


def test_a_recipe_file_gives_settings_and_options_replace_them(arguments: list[str], tmp_path: Path) -> None:
    run([*arguments, "--steps", "1", "--weight-decay", "0", "--flip", "--head", "arcface", "--prefixes", "4"])
    recipe = str(tmp_path / "run" / "recipe.json")
    arguments[arguments.index("--run") + 1] = str(tmp_path / "again")
    run([*arguments, "--recipe", recipe, "--steps", "2"])
    settings = [json.loads((tmp_path / name / "recipe.json").read_text()) for name in ("run", "again")]
    assert settings[0]["weight_decay"] == 0
    assert settings[1] == settings[0] | {"steps": 2}
    arguments[arguments.index("--run") + 1] = str(tmp_path / "whole")
    run([*arguments, "--recipe", recipe, "--epochs", "1"])
    assert json.loads((tmp_path / "whole" / "recipe.json").read_text()) == settings[0] | {"steps": None, "epochs": 1}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--epochs", "0", "epochs"), ("--data", "nowhere", "nowhere"), ("--recipe", "nowhere.json", "nowhere.json")],
)
def test_a_mistake_is_an_error_in_one_line(arguments: list[str], option: str, value: str, message: str) -> None:
    with pytest.raises(LykeionError, match=message) as error:
        run([*arguments, option, value])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--temperature", "2"), "temperature has no effect without teacher"),
        (("--momentum", "0.5"), "momentum has no effect with optimizer adamw"),
        (("--head", "arcface", "--dropout", "0.5"), "dropout has no effect unless head is softmax"),
        (("--epochs", "2", "--steps", "9"), "epochs and steps both say how long to train; give one"),
    ],
)
def test_a_setting_without_effect_is_refused(arguments: list[str], given: tuple[str, ...], says: str) -> None:
    with pytest.raises(LykeionError, match=says):
        run([*arguments, *given])


def test_what_is_trained_on_is_shown_first_and_bad_photos_are_skipped_by_request(
    arguments: list[str], tmp_path: Path
) -> None:
    photos = write_photos(tmp_path / "photos")
    (photos / "bag" / "broken.png").write_bytes(b"no photo")
    (photos / "bag" / "notes.txt").write_text("it")
    arguments[arguments.index("--data") + 1] = str(photos)
    done = CliRunner().invoke(app, [*arguments, "--steps", "1", "--skip-bad", "--json"], catch_exceptions=False)
    assert done.exit_code == 3
    report = json.loads(done.stdout)
    assert report["ignored"] == {"no photo (.txt)": 1}
    assert len(report["skipped"]) == 1
    shown = [line.split() for line in done.stderr.splitlines()]
    assert ["bag", "10", "2", "0"] in shown
    assert ["total", "20", "4", "0"] in shown
    assert "ignored 1 files" in done.stderr


def test_one_process_at_a_time_trains_in_a_run_directory(arguments: list[str], tmp_path: Path) -> None:
    with working_in(tmp_path / "run", LykeionError), pytest.raises(LykeionError, match=r"process \d+ works in .*run"):
        run([*arguments, "--steps", "1"])
    run([*arguments, "--steps", "1"])


def test_a_test_accuracy_that_was_reported_stays_reported(arguments: list[str], tmp_path: Path) -> None:
    first = json.loads(run([*arguments, "--steps", "1", "--test", "--json"]))
    assert json.loads(run([*arguments, "--steps", "1", "--json"])) == first
    assert json.loads((tmp_path / "run" / "report.json").read_text())["test_accuracy"] == first["test_accuracy"]
