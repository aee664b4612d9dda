import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import LykeionError
from lykeion.engines.goal import GoalError
from lykeion.engines.kinds import KINDS
from lykeion.nets import Architecture, Convolution, random_weights, write_litert

NETWORK = Architecture("tiny", 8, 8, (Convolution(8, 3, 2),), classes=3)


def run(*arguments: object) -> str:
    return CliRunner().invoke(app, ["engines", *map(str, arguments)], catch_exceptions=False).stdout


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.tflite"
    path.write_bytes(write_litert(NETWORK, random_weights(NETWORK), output="logits"))
    return path


def test_the_list_has_every_engine_and_what_would_install_it() -> None:
    listed = json.loads(run("list", "--json"))["engines"]
    assert [each["name"] for each in listed] == list(KINDS)
    assert all(each["version"] or each["install"] for each in listed)


def test_a_model_is_measured_and_a_fleet_chosen_for_from_the_report(model: Path, tmp_path: Path) -> None:
    report = tmp_path / "here.json"
    shown = run("bench", model, "--engine", "litert", "--out", report, "--png", tmp_path / "bench.png", "-q")
    assert "litert 1" in shown
    assert "multiply-adds" in shown
    assert (tmp_path / "bench.png").exists()
    found = json.loads(run("select", "--devices", f"{report},{report}", "--goal", "minimise latency_ms", "--json"))
    assert found["coverage"] == 1
    assert len(found["artifacts"]) == 1
    assert "100%" in run("select", "--devices", report, "--goal", "minimise latency_ms")


def test_a_model_is_selected_with_its_reasons(model: Path) -> None:
    arguments = (
        "select",
        "--model",
        model,
        "--engine",
        "litert",
        "--goal",
        "size_bytes < 1, minimise latency_ms",
        "-q",
    )
    told, shown = (CliRunner().invoke(app, ["engines", *map(str, arguments), *more]) for more in (["--json"], []))
    found = json.loads(told.stdout)
    assert found["chosen"] is None
    assert found["candidates"][0]["outcome"] == "misses"
    assert "minimise latency_ms: none" in shown.stdout
    assert all(isinstance(each.exception, GoalError) for each in (told, shown))


def test_engines_are_compared(model: Path) -> None:
    found = json.loads(run("compare", model, "--engine", "litert", "--json"))["engines"]
    assert found[0]["engine"] == "litert"
    assert found[0]["cosine"] > 0.9999
    assert "litert" in run("compare", model, "--engine", "litert")


def test_operators_are_told_or_why_not(model: Path) -> None:
    assert "does not tell the times" in run("bench", model, "--engine", "litert", "--operators")
    if KINDS["onnxruntime"].installed:
        assert "Conv" in run("bench", model, "--engine", "onnxruntime", "--operators")


def test_a_model_is_converted(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    run("convert", model, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.onnx").stat().st_size > 500


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bench", "none.tflite"), "none.tflite: cannot read"),
        (("bench", "no-such-network"), "no-such-network"),
        (("bench", ".", "--engine", "litert"), "finished training"),
        (("select", "--model", "x.tflite", "--goal", "fast"), "end it with what decides"),
        (("select", "--devices", "none.json", "--goal", "minimise latency_ms"), "none.json: cannot read"),
    ],
)
def test_a_mistake_is_an_error_of_one_line(arguments: tuple[str, ...], says: str) -> None:
    with pytest.raises(LykeionError, match=says) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
