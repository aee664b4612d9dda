import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from click.testing import CliRunner

from lykeion.cli import app
from lykeion.core import DONE_BUT, LykeionError
from lykeion.core.pictures import PictureError
from lykeion.engines import ModelError
from lykeion.engines.running import KINDS
from lykeion.nets import Architecture, Convolution, random_weights, write_litert
from tests.litert.files import one_operator
from tests.nets.training.tiny import write_npz

NETWORK = Architecture("tiny", 8, 8, (Convolution(8, 3, 2),), classes=3)
GREY = Architecture("grey", 8, 8, (Convolution(8, 3, 2),), classes=4, channels=1)


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
    assert "nothing meets the goal" in shown.stdout
    assert [each.exit_code for each in (told, shown)] == [DONE_BUT, DONE_BUT]


@pytest.mark.slow
def test_engines_are_compared(model: Path) -> None:
    found = json.loads(run("compare", model, "--engine", "litert", "--json"))["engines"]
    assert found[0]["engine"] == "litert"
    assert found[0]["cosine"] > 0.9999
    assert "litert" in run("compare", model, "--engine", "litert")


def test_a_network_that_flattens_its_map_is_compared_on_every_engine(tmp_path: Path) -> None:
    """TensorFlow's converter shapes the rows by the batch, which CompiledModel does not follow beyond one photo."""
    tensorflow = pytest.importorskip("tensorflow")
    layers, given = tensorflow.keras.layers, tensorflow.keras.Input((8, 8, 3))
    made = layers.Dense(4)(layers.Flatten()(layers.Conv2D(2, 3, 2)(given)))
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(tensorflow.keras.Model(given, made))
    (tmp_path / "flat.tflite").write_bytes(converter.convert())
    named = ("--engine", "litert", "--engine", "litert-compiled", "--json")
    found = json.loads(run("compare", tmp_path / "flat.tflite", *named))["engines"]
    assert [each["engine"] for each in found] == ["litert", "litert-compiled"]
    assert all(each["cosine"] > 0.9999 for each in found)


def test_operators_are_told_or_why_not(model: Path) -> None:
    assert "does not tell the times" in run("bench", model, "--engine", "litert", "--operators")
    if KINDS["onnxruntime"].installed:
        assert "Conv" in run("bench", model, "--engine", "onnxruntime", "--operators")


def test_a_model_is_converted(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    assert "cosine 1.0000000 on 32 photos" in run("convert", model, tmp_path / "tiny.onnx")
    assert (tmp_path / "tiny.onnx").stat().st_size > 500


def test_what_onnx_runtime_does_not_run_is_never_written(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    odd = tmp_path / "odd.tflite"
    options = tfl.Conv2DOptionsT(strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1)
    kernel = np.ones((2, 1, 1, 3), np.float32)  # of three channels, for a map of two: LiteRT refuses it, too
    odd.write_bytes(one_operator(tfl.BuiltinOperator.CONV_2D, options, (1, 4, 4, 2), (1, 4, 4, 2), [kernel]))
    with pytest.raises(ModelError, match="odd") as caught:
        run("convert", odd, tmp_path / "odd.onnx")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "odd.onnx").exists()


def test_options_that_would_be_ignored_are_refused(model: Path, tmp_path: Path) -> None:
    for arguments, says in (
        (
            ("bench", model, "--operators", "--photos", "5"),
            "--operators tells of operators alone; leave out --photos",
        ),
        (("bench", model, "--photos", "5"), "without --data no photos are read; leave out --photos"),
        (("bench", model, "--skip-bad"), "without --data no photos are read; leave out --skip-bad"),
        (("select", "--devices", "a.json", "--goal", "minimise latency_ms", "--threads", "2"), "leave out --threads"),
    ):
        done = CliRunner().invoke(app, ["engines", *map(str, arguments)])
        assert done.exit_code == 2
        assert says in done.stderr


@pytest.mark.slow
def test_results_are_told_where_nothing_can_be_drawn(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(model.read_bytes()[:400])
    done = CliRunner().invoke(app, ["engines", "bench", str(broken), "--png", str(tmp_path / "x.png"), "-q"])
    assert isinstance(done.exception, ModelError)
    assert "broken" in done.stdout
    (tmp_path / "file").touch()
    png = tmp_path / "file" / "x.png"
    done = CliRunner().invoke(app, ["engines", "bench", str(model), "--engine", "litert", "--png", str(png), "-q"])
    assert isinstance(done.exception, PictureError)
    assert "litert 1" in done.stdout


def test_a_report_that_cannot_be_written_takes_nothing_away(model: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["engines", "bench", str(model), "--engine", "litert", "--out", str(tmp_path), "-q"]
    )
    assert isinstance(done.exception, LykeionError)
    assert "litert 1" in done.stdout


@pytest.mark.slow
def test_devices_that_nothing_serves_are_listed_and_tell_the_exit_code(model: Path, tmp_path: Path) -> None:
    reports = [tmp_path / "a.json", tmp_path / "b.json"]
    for report in reports:
        run("bench", model, "--engine", "litert", "--out", report, "-q")
    devices = ("--devices", reports[0], "--devices", reports[1])
    assert "100% of 2 devices" in run("select", *devices, "--goal", "minimise latency_ms")
    goal = ("--goal", "size_bytes < 1, minimise latency_ms")
    done = CliRunner().invoke(app, ["engines", "select", *map(str, devices), *goal])
    assert (done.exit_code, done.stdout.count("nothing meets the goal")) == (DONE_BUT, 2)


def test_a_picture_s_format_is_known_before_the_work(model: Path) -> None:
    done = CliRunner().invoke(app, ["engines", "bench", str(model), "--png", "photos"])
    assert done.exit_code == 2
    assert "photos: end its name in .png, .svg or .pdf" in done.stderr


def test_only_models_that_take_photos_are_judged(tmp_path: Path) -> None:
    flat = tmp_path / "flat.tflite"
    flat.write_bytes(one_operator(tfl.BuiltinOperator.SQRT, None, (1, 8), (1, 8)))
    write_npz(tmp_path)
    with pytest.raises(ModelError, match="flat: has no fixed photo size"):
        run("bench", flat, "--data", tmp_path / "quadrants.npz", "-q")


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
