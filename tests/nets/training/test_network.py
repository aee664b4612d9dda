import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lykeion.core import SILENT
from lykeion.nets import Architecture
from lykeion.nets.training import (
    Dataset,
    Recipe,
    TrainingError,
    TrainingReport,
    load_data,
    load_network,
    predict,
    train_network,
)
from lykeion.nets.training.checkpoints import Checkpoint
from lykeion.search.embedder import Embedder
from lykeion.vision import ModelCard

from .test_sources import write_photos
from .tiny import ARCHITECTURE, load_tiny

keras = pytest.importorskip("keras")

RECIPE = Recipe(epochs=4, batch=20, learning_rate=0.02)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_tiny(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def finished(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> TrainingReport:
    run = tmp_path_factory.mktemp("runs") / "tiny"
    return train_network(replace(ARCHITECTURE, classes=7), data, RECIPE, run, test=True, reporter=SILENT)


def test_a_trained_network_has_the_classes_of_its_data(finished: TrainingReport, data: Dataset) -> None:
    architecture, weights = load_network(finished.model.parent)
    assert architecture == replace(ARCHITECTURE, classes=4)
    assert weights["logits/kernel"].shape == (16, 4)
    assert json.loads((finished.model.parent / "classes.json").read_text()) == list(data.classes)
    assert Recipe.read(finished.model.parent / "recipe.json") == RECIPE


def test_its_report_tells_accuracies(finished: TrainingReport) -> None:
    assert finished.validation_accuracy > 0.8
    assert finished.test_accuracy is not None
    assert finished.test_accuracy > 0.8
    assert finished.retrieval == ()
    assert json.loads((finished.model.parent / "report.json").read_text()) == json.loads(
        json.dumps(finished.to_json())
    )


def test_its_litert_file_gives_the_embedding_that_was_trained(finished: TrainingReport, data: Dataset) -> None:
    from lykeion.nets import build_keras, load_keras_weights

    architecture, weights = load_network(finished.model.parent)
    model = build_keras(architecture, output="embedding")
    load_keras_weights(model, weights)
    card = ModelCard.for_model(finished.model)
    embedder = Embedder.load(finished.model)
    assert (card.channels, card.height, card.dimension) == ("grey", 8, 16)
    theirs = predict(model, data.test)
    ours = embedder.embed(data.test.read(np.arange(60)))
    assert np.allclose(ours, theirs / np.linalg.norm(theirs, axis=1, keepdims=True), atol=1e-5)


def test_it_embeds_photos_for_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lykeion.nets.training.photos.MEMORY_BYTES", 0)  # so that they are decoded each epoch
    photos = write_photos(tmp_path / "photos", count=6)
    architecture = Architecture("rgb", 8, 8, ARCHITECTURE.rows, classes=2)
    data = load_data(photos, height=8, width=8)
    report = train_network(
        architecture, data, Recipe(steps=6, batch=4, precision="bfloat16"), tmp_path / "run", reporter=SILENT
    )
    vector = Embedder.load(report.model).embed_photo(photos / "bag" / "1.png").vector
    assert vector.shape == (16,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("head", ["arcface", "proxy-anchor"])
def test_heads_for_distances_bring_photos_of_a_class_together(data: Dataset, tmp_path: Path, head: str) -> None:
    recipe = replace(RECIPE, epochs=8, head=head, prefixes=(4,))
    report = train_network(ARCHITECTURE, data, recipe, tmp_path / "run", test=True, reporter=SILENT)
    prefix, whole = report.retrieval
    assert (prefix.dimension, whole.dimension) == (4, 16)
    assert whole.recall_at_1 > 0.85
    assert whole.map_at_r > 0.7
    assert prefix.recall_at_1 > 0.7
    assert report.test_accuracy is not None
    assert report.test_accuracy > 0.85


def test_a_prefix_must_be_shorter_than_the_embedding(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="prefix 16"):
        train_network(ARCHITECTURE, data, replace(RECIPE, head="arcface", prefixes=(16,)), tmp_path / "run")


def test_a_network_learns_from_a_teacher_alone(finished: TrainingReport, data: Dataset, tmp_path: Path) -> None:
    teacher = str(finished.model.parent)
    recipe = replace(RECIPE, epochs=8, teacher=teacher, alpha=0.0)
    report = train_network(ARCHITECTURE, data, recipe, tmp_path / "run", reporter=SILENT)
    assert report.validation_accuracy > 0.8
    with_teacher, alone = (Checkpoint.read(run / "last.npz") for run in (tmp_path / "run", finished.model.parent))
    assert len(with_teacher.values) == len(alone.values)  # the teacher is not in the checkpoint


def test_a_keras_file_can_teach(finished: TrainingReport, data: Dataset, tmp_path: Path) -> None:
    from lykeion.nets import build_keras

    build_keras(replace(ARCHITECTURE, classes=4)).save(tmp_path / "teacher.keras")
    alone = replace(RECIPE, steps=2)
    recipes = {"alone": alone, "taught": replace(alone, teacher=str(tmp_path / "teacher.keras"))}
    for name, recipe in recipes.items():
        train_network(ARCHITECTURE, data, recipe, tmp_path / name, reporter=SILENT)
    taught, untaught = (Checkpoint.read(tmp_path / name / "last.npz").values for name in recipes)
    assert any(np.any(one != other) for one, other in zip(taught, untaught, strict=True))


def test_a_teacher_that_cannot_teach_is_named(data: Dataset, tmp_path: Path) -> None:
    from lykeion.nets import build_keras

    build_keras(replace(ARCHITECTURE, classes=5)).save(tmp_path / "five.keras")
    (tmp_path / "broken.keras").write_bytes(b"x")
    photo = keras.Input((8, 8, 1))
    scaled = build_keras(replace(ARCHITECTURE, classes=4))(keras.layers.Rescaling(1 / 255)(photo))
    keras.Model(photo, scaled).save(tmp_path / "rescales.keras")
    for name in ("five.keras", "broken.keras", "nothing", "rescales.keras: rescales photos itself"):
        recipe = replace(RECIPE, teacher=str(tmp_path / name.partition(":")[0]))
        with pytest.raises(TrainingError, match=name):
            train_network(ARCHITECTURE, data, recipe, tmp_path / "run" / name[:6], reporter=SILENT)


def test_data_of_another_size_is_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="takes 16×8×1, the data is 8×8×1"):
        train_network(replace(ARCHITECTURE, height=16), data, RECIPE, tmp_path / "run")
