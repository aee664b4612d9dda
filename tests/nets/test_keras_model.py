"""These run where TensorFlow and Keras are installed: pip install 'lykeion[train]'."""

from pathlib import Path

import numpy as np
import pytest

from lykeion.nets import (
    NETWORKS,
    Architecture,
    Convolution,
    DepthwiseSeparable,
    FullyConnected,
    InvertedResidual,
    WeightsError,
    count,
    find,
    layers,
    random_weights,
    write_litert,
)
from tests.nets.making import assert_equal_to_1e_5, is_delegated, lively_weights, photos_for, run

keras = pytest.importorskip("keras")

EVERYTHING = Architecture(
    "all kinds of rows",
    24,
    20,
    (
        Convolution(8, 3, 2, "hard-swish"),
        DepthwiseSeparable(12, 3),
        InvertedResidual(12, 12, 5, activation="relu"),
        InvertedResidual(36, 10, 3, 2, squeeze=8),
        InvertedResidual(10, 10, 5, 1, "hard-swish", squeeze=4, expand=True, residual=False),
        InvertedResidual(30, 10, 3),
        Convolution(16, 1, activation="hard-sigmoid"),
    ),
    classes=5,
    head=(FullyConnected(14, "hard-swish"), FullyConnected(6, "linear")),
    channels=1,
)


@pytest.fixture(scope="module")
def everything():
    from lykeion.nets import build_keras, load_keras_weights

    model = build_keras(EVERYTHING)
    load_keras_weights(model, lively_weights(EVERYTHING))
    return model


def output_of(model, photos: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(photos, training=False))


def test_a_built_model_has_the_counted_parameters(everything) -> None:
    counts = count(EVERYTHING)
    assert everything.count_params() == counts.parameters
    assert sum(np.prod(weight.shape) for weight in everything.trainable_weights) == counts.trainable


def test_weights_go_in_and_come_out_to_the_bit(everything) -> None:
    from lykeion.nets import keras_weights

    weights, back = lively_weights(EVERYTHING), keras_weights(everything)
    assert back.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(back[name], value)
        assert back[name].dtype == np.float32


def test_training_starts_from_the_same_weights_whenever_the_seed_is_the_same() -> None:
    from lykeion.nets import build_keras, keras_weights

    architecture = Architecture("a", 8, 8, (Convolution(4, 3), InvertedResidual(8, 4, 3, squeeze=2)), 2)
    for name, value in keras_weights(build_keras(architecture, seed=7)).items():
        np.testing.assert_array_equal(value, random_weights(architecture, seed=7)[name])


def test_first_weights_keep_the_scale_of_what_goes_through() -> None:
    from lykeion.nets import build_keras

    architecture = find("mobilenet-v2-0.5@64", classes=10)
    model = build_keras(architecture, output="embedding")
    features = keras.ops.convert_to_numpy(model(photos_for(architecture, 16), training=True))
    assert 0.1 < features.std() < 10


def test_missing_and_misshapen_weights_are_errors_that_name_them(everything) -> None:
    from lykeion.nets import load_keras_weights

    weights = lively_weights(EVERYTHING)
    with pytest.raises(WeightsError, match=r"'3/gate/bias' have shape .* needs"):
        load_keras_weights(everything, weights | {"3/gate/bias": np.zeros(3, np.float32)})
    del weights["3/gate/bias"]
    with pytest.raises(WeightsError, match="'3/gate/bias' are missing"):
        load_keras_weights(everything, weights)


def test_a_model_of_the_embedding_has_no_classifier_and_takes_the_same_weights(everything) -> None:
    from lykeion.nets import build_keras, load_keras_weights

    model = build_keras(EVERYTHING, output="embedding")
    load_keras_weights(model, lively_weights(EVERYTHING))
    photos = photos_for(EVERYTHING)
    weights = lively_weights(EVERYTHING)
    logits = output_of(model, photos) @ weights["logits/kernel"] + weights["logits/bias"]
    assert_equal_to_1e_5(logits, output_of(everything, photos))


def test_momentum_and_dropout_are_as_asked() -> None:
    from lykeion.nets import build_keras

    model = build_keras(EVERYTHING, batch_norm_momentum=0.9, dropout=0.25)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {layer.momentum for layer in norms} == {0.9}
    assert model.get_layer("dropout").rate == 0.25


def test_the_file_written_without_tensorflow_equals_the_one_that_keras_exports(everything, tmp_path: Path) -> None:
    everything.export(tmp_path / "model.tflite", format="litert", verbose=False)
    photos = photos_for(EVERYTHING, 1)
    exported = run((tmp_path / "model.tflite").read_bytes(), photos)
    written = write_litert(EVERYTHING, lively_weights(EVERYTHING), output="logits")
    assert_equal_to_1e_5(run(written, photos), exported)
    assert is_delegated(written)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_of_every_network_equals_its_keras_model(name: str) -> None:
    from lykeion.nets import build_keras, load_keras_weights

    architecture = find(f"{name}@64", classes=10)
    weights, photos = lively_weights(architecture), photos_for(architecture)
    model = build_keras(architecture)
    load_keras_weights(model, weights)
    written = write_litert(architecture, weights, output="logits")
    assert_equal_to_1e_5(run(written, photos), output_of(model, photos))
    assert is_delegated(written)


def test_all_weights_of_layers_have_a_place_in_the_model(everything) -> None:
    names = {variable for layer in layers(EVERYTHING) for variable in layer.weights()}
    assert len(names) == len(everything.weights)
