"""A recipe carried out by the command, as a person does it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lykeion.cli.compress import commands
from lykeion.compress import (
    REPORT_COLUMNS,
    CompressedModel,
    CompressionError,
    StepRow,
    accuracies,
    litert_file,
    open_model,
    report_table,
    save,
)
from lykeion.compress.compressing import SCHEMA, VERSION
from lykeion.compress.keras_file import read_keras
from lykeion.core import LykeionError, working_in
from lykeion.inputs import open_models
from lykeion.nets import find, random_weights
from lykeion.nets.training import write_arrays
from tests.nets.making import lively_weights
from tests.nets.training.tiny import write_npz

from .test_methods import ARCHITECTURE

keras = pytest.importorskip("keras")

RECIPE = """
schema: lykeion.compression
version: 1
steps:
  - prune: {sparsity: 0.5, training: {epochs: 1, batch: 40, learning_rate: 0.01}}
  - cluster: {clusters: 8}
  - qat: {calibration: 64}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, photos, a recipe."""
    directory = tmp_path_factory.mktemp("compression")
    write_npz(directory)
    save(CompressedModel(ARCHITECTURE, random_weights(ARCHITECTURE)), directory / "model")
    (directory / "recipe.yaml").write_text(RECIPE)
    return directory


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments], catch_exceptions=False)


def carry_out(place: Path, *more: str) -> Result:
    given = ("--model", place / "model", "--data", place / "quadrants.npz", "--run", place / "run", "--quiet")
    return invoke("run", place / "recipe.yaml", *given, *more)


@pytest.fixture(scope="module")
def rows(place: Path) -> list[dict[str, Any]]:
    done = carry_out(place, "--json")
    assert done.exit_code == 0
    return json.loads(done.stdout)["rows"]


def test_each_step_has_its_row_and_its_network(place: Path, rows: list[dict[str, Any]]) -> None:
    assert [row["step"] for row in rows] == ["0-original", "1-prune", "2-cluster", "3-qat"]
    packed = [row["sizes"]["packed"] for row in rows]
    assert packed == sorted(packed, reverse=True)
    assert rows[1]["sparsity"] > 0.4
    assert rows[2]["values"] <= 8
    assert all(row["latency_ms"] > 0 for row in rows)
    assert rows[3]["notes"]["agreement"] == 1
    for row in rows:
        assert (
            litert_file(open_model(place / "run" / row["step"]))
            == (place / "run" / row["step"] / "model.tflite").read_bytes()
        )


def test_steps_that_are_done_are_not_done_again(place: Path, rows: list[dict[str, Any]]) -> None:
    before = (place / "run" / "1-prune" / "row.json").stat().st_mtime_ns
    again = json.loads(carry_out(place, "--json").stdout)["rows"]
    assert again == rows
    assert (place / "run" / "1-prune" / "row.json").stat().st_mtime_ns == before


def test_a_step_that_was_lost_is_made_again_the_same(place: Path, rows: list[dict[str, Any]]) -> None:
    (place / "run" / "2-cluster" / "row.json").unlink()
    again = json.loads(carry_out(place, "--json").stdout)["rows"]
    assert [row["sizes"] for row in again] == [row["sizes"] for row in rows]


def test_the_test_photos_can_be_read_when_all_is_done(place: Path, rows: list[dict[str, Any]]) -> None:
    judged = json.loads(carry_out(place, "--test", "--json").stdout)["rows"]
    assert [row["accuracy"] for row in judged] == [row["accuracy"] for row in rows]
    assert all(row["test_accuracy"] is None for row in rows)
    assert all(row["test_accuracy"] is not None for row in judged)


def test_the_times_of_networks_stay_known(place: Path, rows: list[dict[str, Any]]) -> None:
    again = json.loads(carry_out(place, "--no-latency", "--json").stdout)["rows"]
    assert [row["latency_ms"] for row in again] == [row["latency_ms"] for row in rows]


def test_a_recipe_is_the_same_wherever_it_is_called_from(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = "schema: lykeion.compression\nversion: 1\nsteps:\n  - distill: {training: {steps: 2, teacher: model}}\n"
    (place / "distill.yaml").write_text(recipe)
    given = ("--data", place / "quadrants.npz", "--run", tmp_path, "--no-latency", "--quiet")
    assert invoke("run", place / "distill.yaml", "--model", place / "model", *given).exit_code == 0
    monkeypatch.chdir(place)
    assert invoke("run", "distill.yaml", "--model", "model", *given).exit_code == 0
    other = replace(open_model(place / "model"), weights=lively_weights(ARCHITECTURE))
    save(other, place / "teacher")
    (place / "distill.yaml").write_text(recipe.replace("teacher: model", "teacher: teacher"))
    with pytest.raises(CompressionError, match="was made by another recipe"):
        invoke("run", "distill.yaml", "--model", "model", *given)


def test_a_step_is_done_only_if_what_it_began_with_is_the_same(
    place: Path, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    step = open_model(tmp_path / "run" / "1-prune")
    save(replace(step, weights=lively_weights(ARCHITECTURE)), tmp_path / "run" / "1-prune")
    given = ("--model", place / "model", "--data", place / "quadrants.npz", "--run", tmp_path / "run", "--quiet")
    with pytest.raises(CompressionError, match=r"2-cluster: was made by another recipe, or from another network"):
        invoke("run", place / "recipe.yaml", *given)


@pytest.mark.parametrize(
    "change",
    [{"step": "../../elsewhere"}, {"accuracy": "x"}, {"latency_ms": -1}, {"accuracy": float("nan")}, {"sizes": {}}],
)
def test_a_report_that_was_tampered_with_is_refused(
    change: dict[str, Any], tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    changed = [*rows[:-1], rows[-1] | change]
    (tmp_path / "report.json").write_text(json.dumps({"schema": SCHEMA, "version": VERSION, "rows": changed}))
    with pytest.raises(CompressionError, match="not a report of this release"):
        invoke("report", tmp_path)


def test_accuracies_of_a_table_are_on_the_same_photos(rows: list[dict[str, Any]]) -> None:
    first, second = (StepRow.from_json(row) for row in rows[:2])
    judged = replace(first, test_accuracy=0.5)
    assert accuracies([judged, second]) == ([first.accuracy, second.accuracy], "validation")
    assert accuracies([judged, replace(second, test_accuracy=0.25)]) == ([0.5, 0.25], "test")
    assert report_table([judged, replace(second, test_accuracy=0.25)])[1][REPORT_COLUMNS.index("change")] == "-25.00"


def test_an_embedder_is_told_what_to_pack(tmp_path: Path) -> None:
    save(CompressedModel(ARCHITECTURE, random_weights(ARCHITECTURE)), tmp_path)
    weights = {name: value for name, value in random_weights(ARCHITECTURE).items() if not name.startswith("logits")}
    write_arrays(tmp_path / "weights.npz", weights)
    with pytest.raises(CompressionError, match=r"an embedder.* takes its model\.tflite"):
        open_model(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("compression.json", {"ranges": {}}, r"compression\.json: .*no range of '0/convolution'"),
        ("architecture.json", {"schema": "other"}, r"architecture\.json: "),
    ],
)
def test_a_damaged_step_names_the_file(
    file: str, content: dict[str, Any], says: str, place: Path, tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    shutil.copytree(place / "run" / "3-qat", tmp_path / "step")
    before = json.loads((tmp_path / "step" / file).read_text())
    (tmp_path / "step" / file).write_text(json.dumps(before | content))
    with pytest.raises(LykeionError, match=says):
        open_model(tmp_path / "step")


def test_other_photos_or_another_fit_are_refused(place: Path, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(Exception, match="holds a compression with another fit"):
        carry_out(place, "--fit", "letterbox")


def test_engines_measure_the_file_of_a_step(place: Path, rows: list[dict[str, Any]]) -> None:
    step = place / "run" / "3-qat"
    (model,) = open_models([str(step)])
    assert model.content == (step / "model.tflite").read_bytes()


def test_another_recipe_does_not_overwrite(place: Path, rows: list[dict[str, Any]]) -> None:
    (place / "other.yaml").write_text(RECIPE.replace("0.5", "0.7"))
    given = ("--model", place / "model", "--data", place / "quadrants.npz", "--run", place / "run")
    with pytest.raises(Exception, match="was made by another recipe"):
        invoke("run", place / "other.yaml", *given)


@pytest.mark.parametrize(("there", "now"), [("\n  - qat: {calibration: 64}", ""), ("cluster: {clusters: 8}", "dsd")])
def test_a_recipe_that_lacks_a_step_that_is_done_is_refused_and_the_report_stays(
    there: str, now: str, place: Path, rows: list[dict[str, Any]]
) -> None:
    """A shorter one, and one with another method in that place."""
    now = now and "dsd: {training: {steps: 1}}"
    (place / "other.yaml").write_text(RECIPE.replace(there, now))
    before = (place / "run" / "report.json").read_bytes()
    given = ("--model", place / "model", "--data", place / "quadrants.npz", "--run", place / "run", "--quiet")
    with pytest.raises(
        CompressionError, match=r"(3-qat|2-cluster): the recipe has no such step; give the whole recipe"
    ):
        invoke("run", place / "other.yaml", *given)
    assert (place / "run" / "report.json").read_bytes() == before


def test_a_run_that_another_process_works_in_is_refused(place: Path, rows: list[dict[str, Any]]) -> None:
    with working_in(place / "run", LykeionError), pytest.raises(CompressionError, match="works in"):
        carry_out(place)


def test_the_page_is_one_file(place: Path, rows: list[dict[str, Any]]) -> None:
    assert invoke("report", place / "run", "--html", place / "page.html").exit_code == 0
    page = (place / "page.html").read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page
    for row in rows:
        assert row["step"] in page


def test_a_package_goes_there_and_back(place: Path, rows: list[dict[str, Any]]) -> None:
    step, package, back = place / "run" / "3-qat", place / "it.lyk", place / "it.tflite"
    said = json.loads(invoke("pack", step, "--output", package, "--json").stdout)
    assert said["package"] == package.stat().st_size == rows[3]["sizes"]["packed"]
    assert invoke("unpack", package, "--output", back).exit_code == 0
    assert back.read_bytes() == (step / "model.tflite").read_bytes()
    assert json.loads(invoke("pack", back, "--output", package, "--json").stdout)["file"] == said["file"]


def test_a_scan_is_a_table_and_a_picture(place: Path) -> None:
    given = ("--model", place / "model", "--data", place / "quadrants.npz", "--layers", "dense", "--quiet")
    done = invoke("sensitivity", *given, "--output", place / "scan.json", "--png", place / "scan.png", "--json")
    assert list(json.loads(done.stdout)["accuracy"]["bits"]) == ["1/reduce", "1/gate", "embedding", "logits"]
    assert json.loads((place / "scan.json").read_text()) == json.loads(done.stdout)
    assert (place / "scan.png").exists()


def test_a_keras_file_of_a_mobilenet_is_known(tmp_path: Path) -> None:
    """With a softmax, and with the scaling of 0..255 inside."""
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNetV3Small(input_shape=(32, 32, 3), weights=None, classes=7)
    # Of Keras' first weights so little of a photo arrives at the softmax that the answers differ by rounding alone.
    network.set_weights([3 * value if value.ndim > 1 else value for value in network.get_weights()])
    network.save(tmp_path / "it.keras")
    found = read_keras(tmp_path / "it.keras").architecture
    assert (found.name, found.height, found.classes) == ("mobilenet-v3-small", 32, 7)


def test_a_keras_file_of_ours_is_known(tmp_path: Path) -> None:
    from lykeion.nets import build_keras, load_keras_weights

    architecture = find("mobilenet-v2-0.35@32", classes=5, channels=1)
    weights = lively_weights(architecture)
    network = build_keras(architecture)
    load_keras_weights(network, weights)
    network.save(tmp_path / "it.keras")
    found = read_keras(tmp_path / "it.keras")
    assert litert_file(found) == litert_file(CompressedModel(architecture, weights))


@pytest.mark.parametrize(("scale", "offset"), [(1 / 255, 0.0), (2.0, 0.0), (1 / 127.5, 0.0), (1.0, 0.5)])
def test_a_keras_file_that_scales_photos_otherwise_is_refused(scale: float, offset: float, tmp_path: Path) -> None:
    network = keras.applications.MobileNet(input_shape=(32, 32, 3), weights=None, classes=7)
    photo = keras.Input((32, 32, 3))
    scaled = keras.Model(photo, network(keras.layers.Rescaling(scale, offset=offset)(photo)))
    scaled.save(tmp_path / "it.keras")
    with pytest.raises(CompressionError, match=r"it\.keras: makes .* of a photo; networks here are for"):
        read_keras(tmp_path / "it.keras")


@pytest.mark.parametrize("rescaled", [False, True])
def test_what_scales_photos_out_of_sight_is_refused_by_its_answers(rescaled: bool, tmp_path: Path) -> None:
    """By an operation, and not by a layer."""
    from lykeion.nets import build_keras, load_keras_weights

    architecture = find("mobilenet-v1-0.25@32", classes=5)
    network = build_keras(architecture)
    load_keras_weights(network, lively_weights(architecture))
    photo = keras.Input((32, 32, 3))
    keras.Model(photo, network(photo * 0.9 if rescaled else photo)).save(tmp_path / "it.keras")
    if rescaled:
        with pytest.raises(CompressionError, match="is no MobileNet"):
            read_keras(tmp_path / "it.keras")
    else:
        assert read_keras(tmp_path / "it.keras").architecture.name == "mobilenet-v1-0.25"


def test_a_keras_file_of_something_else_is_refused(tmp_path: Path) -> None:
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    network.save(tmp_path / "it.keras")
    with pytest.raises(Exception, match="is no MobileNet"):
        read_keras(tmp_path / "it.keras")
