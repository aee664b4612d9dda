"""Where MediaPipe is installed, a classifier gives on it the labels that it gives on LiteRT, and no vectors.

Its wheel reports its use: it is tested where LYKEION_TEST_MEDIAPIPE is set.
"""

import importlib.util
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from examples.fashion_mnist.dataset import read_sample
from examples.fashion_mnist.published import SAMPLE_FOLDER
from lykeion import inputs
from lykeion.cli import app
from lykeion.core import Unsupported
from lykeion.device.companion import Companion
from lykeion.device.inference.loaded_model import LoadedModel
from lykeion.nets.training import read_classes
from lykeion.vision import ModelCard

from .networks import EMBEDDING, network
from .offers import Repository

pytestmark = pytest.mark.skipif(
    "LYKEION_TEST_MEDIAPIPE" not in os.environ or importlib.util.find_spec("mediapipe") is None,
    reason="needs mediapipe and LYKEION_TEST_MEDIAPIPE",
)


def loaded(engine: str, content: bytes, companion: Companion) -> LoadedModel:
    return LoadedModel(replace(Repository().publish(1, content).target, engine=engine), content, companion.to_bytes())


def test_a_classifier_of_lykeion_train_gives_the_same_labels_on_mediapipe_and_on_litert(tmp_path: Path) -> None:
    words = ["mobilenet-v2-0.35@32", "--data", str(SAMPLE_FOLDER), "--run", str(tmp_path / "run"), "--steps", "60"]
    assert CliRunner().invoke(app, ["train", *words, "--batch", "64", "--skip-bad", "--quiet"]).exit_code == 0
    run = tmp_path / "run"
    (made,) = inputs.open_models([str(run)])  # with logits; the run's own file gives the embedding
    labels = read_classes(run)
    card = replace(ModelCard.for_model(run / "model.tflite"), output="logits", dimension=len(labels))
    companion = Companion(card, labels)
    photos = [np.repeat(image[..., None], 3, axis=-1) for image in read_sample().splits["train"][0]]
    models = [loaded(engine, made.content, companion) for engine in ("litert", "mediapipe")]
    with closing(models[0]), closing(models[1]):
        ours, theirs = ([model.classify(photo, k=1)[0] for photo in photos] for model in models)
    assert len({label.label for label in ours}) > 1
    agree = np.mean([mine.label == other.label for mine, other in zip(ours, theirs, strict=True)])
    print(f"{agree:.2%} of {len(photos):,} labels agree")
    assert agree >= 0.99


def test_vectors_come_from_litert_alone() -> None:
    with closing(loaded("mediapipe", network(3), Companion(EMBEDDING))) as model:
        with pytest.raises(Unsupported, match="vectors for an index come from LiteRT"):
            model.embed(np.zeros((16, 16, 3), np.uint8))
        assert model.space == ""
