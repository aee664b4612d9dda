"""The same training on Keras' JAX backend, in processes of their own: a process has one backend."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lykeion.nets import build_keras, load_keras_weights, write_architecture
from lykeion.nets.training import load_network
from lykeion.search.embedder import Embedder
from tests.nets.making import assert_equal_to_1e_5, lively_weights, photos_for
from tests.nets.test_keras_model import EVERYTHING

from .tiny import ARCHITECTURE, load_tiny

pytest.importorskip("jax")

SCRIPT = """
import sys
from pathlib import Path
import keras
import numpy as np
from lykeion.core import SILENT
from lykeion.nets import Architecture, build_keras, keras_weights, load_keras_weights
from lykeion.nets.training import Recipe, predict, train_network
from lykeion.nets.training.loop import _Keeper
from tests.nets.making import lively_weights, photos_for
from tests.nets.training.tiny import ARCHITECTURE, load_tiny

assert keras.backend.backend() == "jax"
directory = Path(sys.argv[1])

everything = Architecture.from_json((directory / "everything.json").read_bytes())
model, weights = build_keras(everything), lively_weights(everything)
load_keras_weights(model, weights)
assert all((value == weights[name]).all() for name, value in keras_weights(model).items())
np.save(directory / "everything.npy", model.predict(photos_for(everything), verbose=0))

data = load_tiny(directory)
recipe = Recipe(epochs=8, batch=20, learning_rate=0.02, ema=0.5, dropout=0.1, shift=1, deterministic=True)

keep = _Keeper.on_epoch_end
def interrupted(self, epoch, logs=None):
    keep(self, epoch, logs)
    if epoch == 2:
        raise KeyboardInterrupt
_Keeper.on_epoch_end = interrupted
try:
    train_network(ARCHITECTURE, data, recipe, directory / "run", reporter=SILENT)
    raise SystemExit("was not interrupted")
except KeyboardInterrupt:
    _Keeper.on_epoch_end = keep
for name in ("run", "straight"):
    train_network(ARCHITECTURE, data, recipe, directory / name, reporter=SILENT)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a model answers, and three trainings, of which what they have in common is compiled once."""
    directory = tmp_path_factory.mktemp("jax")
    write_architecture(EVERYTHING, directory / "everything.json")
    once = {
        "JAX_COMPILATION_CACHE_DIR": str(directory / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", **once}
    subprocess.run([sys.executable, "-c", SCRIPT, str(directory)], env=environment, check=True, timeout=500)
    return directory


def test_a_model_on_jax_computes_the_same(trained: Path) -> None:
    model = build_keras(EVERYTHING)
    load_keras_weights(model, lively_weights(EVERYTHING))
    expected = model(photos_for(EVERYTHING), training=False)
    assert_equal_to_1e_5(np.load(trained / "everything.npy"), np.array(expected))


def test_a_network_learns_on_jax(trained: Path) -> None:
    report = json.loads((trained / "straight" / "report.json").read_text())
    assert report["validation_accuracy"] > 0.8
    assert json.loads((trained / "straight" / "run.json").read_text())["settings"]["backend"] == "jax"


def test_a_training_on_jax_goes_on_to_the_same_weights(trained: Path) -> None:
    resumed, straight = (load_network(trained / name)[1] for name in ("run", "straight"))
    assert all((resumed[name] == straight[name]).all() for name in straight)


def test_what_jax_trained_runs_in_litert(trained: Path) -> None:
    embedder = Embedder.load(trained / "straight" / "model.tflite")
    data = load_tiny(trained)
    vectors = embedder.embed(data.validation.read(np.arange(len(data.validation))))
    _, weights = load_network(trained / "straight")
    assert vectors.shape == (40, ARCHITECTURE.dimension)
    # The embedding and its classes belong together: a logits layer on top of the directions still tells them apart.
    logits = vectors @ weights["logits/kernel"]
    assert (logits.argmax(axis=1) == data.validation.labels).mean() > 0.7
