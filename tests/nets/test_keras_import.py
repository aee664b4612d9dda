"""These run where TensorFlow and Keras are installed: pip install 'lykeion[train]'."""

import sys
from pathlib import Path

import numpy as np
import pytest

from lykeion.nets import KerasImportError, import_keras
from lykeion.nets.keras.keras_import import _normalisation
from lykeion.search.embedder import Embedder
from lykeion.vision import ModelCard


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))


@pytest.fixture
def keras():
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def test_without_tensorflow_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(KerasImportError, match=r"pip install 'lykeion\[train\]'"):
        import_keras("MobileNetV3Small")


def test_a_keras_file_becomes_an_embedder_that_gives_the_same_vectors(keras, tmp_path: Path) -> None:
    network = keras.Sequential(
        [
            keras.Input((32, 48, 3)),
            keras.layers.Rescaling(1 / 127.5, offset=-1),
            keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    network.save(tmp_path / "own.keras")
    embedder = Embedder.load(import_keras(str(tmp_path / "own.keras")))
    assert (embedder.name, embedder.dimension) == ("own", 8)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
    expected = network.predict(pixels.astype(np.float32), verbose=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(embedder.embed(pixels), expected, atol=1e-5)


def test_a_network_of_keras_applications_becomes_an_embedder(keras) -> None:
    path = import_keras("MobileNet", weights=None)
    card = ModelCard.for_model(path)
    assert (card.name, card.height, card.width, card.dimension) == ("MobileNet", 224, 224, 1024)
    vectors = Embedder.load(path).embed(np.full((1, 224, 224, 3), 90, np.uint8))
    assert vectors.shape == (1, 1024)


@pytest.mark.parametrize(
    ("family", "channels", "mean", "std"),
    [
        ("mobilenet_v2", "RGB", (127.5,) * 3, (127.5,) * 3),
        ("mobilenet_v3", "RGB", (0,) * 3, (1,) * 3),
        ("densenet", "RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        ("resnet50", "BGR", (103.939, 116.779, 123.68), (1,) * 3),
    ],
)
def test_the_card_says_what_preprocess_input_does(keras, family, channels, mean, std) -> None:
    assert _normalisation(getattr(keras.applications, family).preprocess_input) == (channels, mean, std)


def test_an_unknown_name_is_an_error_that_lists_the_known(keras) -> None:
    with pytest.raises(
        KerasImportError, match=r"'NoNet' is neither a \.keras file nor in keras\.applications: .*MobileNet"
    ):
        import_keras("NoNet")


def test_a_missing_or_broken_file_is_an_error_that_names_it(keras, tmp_path: Path) -> None:
    with pytest.raises(KerasImportError, match=r"none\.keras: no such file"):
        import_keras(str(tmp_path / "none.keras"))
    (tmp_path / "bad.keras").write_bytes(b"no zip")
    with pytest.raises(KerasImportError, match=r"bad\.keras: Keras cannot load it") as caught:
        import_keras(str(tmp_path / "bad.keras"))
    assert "\n" not in str(caught.value)


def test_a_saved_lambda_is_refused_and_not_run(keras, tmp_path: Path) -> None:
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Lambda(lambda x: x * 2)(inputs))
    keras.Model(inputs, outputs).save(tmp_path / "lambda.keras")
    with pytest.raises(KerasImportError, match=r"lambda\.keras: Keras cannot load it"):
        import_keras(str(tmp_path / "lambda.keras"))


def test_a_network_that_gives_no_vector_is_an_error_that_says_so(keras, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3)]).save(tmp_path / "map.keras")
    with pytest.raises(KerasImportError, match=r"map\.keras: its output is .*; it must be one vector"):
        import_keras(str(tmp_path / "map.keras"))
