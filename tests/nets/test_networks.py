import numpy as np
import pytest

from lykeion.nets import (
    NETWORKS,
    Architecture,
    Convolution,
    InvertedResidual,
    Row,
    WeightsError,
    count,
    find,
    layers,
    write_litert,
)
from tests.nets.making import assert_equal_to_1e_4, assert_equal_to_1e_5, photos_for, run

PUBLISHED_MULTIPLY_ADDS = {"mobilenet-v1": 569, "mobilenet-v2": 300, "mobilenet-v3-small": 56}
"""Millions at 224², from the papers' tables of results."""

APPLICATIONS = {
    "mobilenet-v1": ("MobileNet", {"dropout": 0.0}),
    "mobilenet-v2": ("MobileNetV2", {}),
    "mobilenet-v3-small": ("MobileNetV3Small", {"include_preprocessing": False}),
    "mobilenet-v3-large": ("MobileNetV3Large", {"include_preprocessing": False}),
    "mobilenet-v3-small-minimalistic": (
        "MobileNetV3Small",
        {"include_preprocessing": False, "minimalistic": True},
    ),
    "mobilenet-v3-large-minimalistic": (
        "MobileNetV3Large",
        {"include_preprocessing": False, "minimalistic": True},
    ),
}
AT_ALL_WIDTHS = [(name, width) for name in APPLICATIONS for width in NETWORKS[name].widths]


def at(name: str, width: float, resolution: int = 224) -> Architecture:
    return find(f"{name}-{width}@{resolution}")


def application(name: str, width: float, **options: object):
    keras = pytest.importorskip("keras")
    function, fixed = APPLICATIONS[name]
    return getattr(keras.applications, function)(
        alpha=width, weights=None, classifier_activation=None, **fixed, **options
    )


@pytest.mark.parametrize("name", PUBLISHED_MULTIPLY_ADDS)
def test_multiply_adds_are_those_of_the_paper(name: str) -> None:
    millions = count(find(name)).multiply_adds / 1e6
    assert abs(millions - PUBLISHED_MULTIPLY_ADDS[name]) < 1


def test_mobilenet_v3_large_counts_what_its_docstring_says() -> None:
    assert round(count(find("mobilenet-v3-large")).multiply_adds / 1e6, 1) == 216.6


@pytest.mark.parametrize(("name", "width"), AT_ALL_WIDTHS)
def test_parameters_and_multiply_adds_equal_those_of_keras_applications(name: str, width: float) -> None:
    theirs, ours = application(name, width, input_shape=(224, 224, 3)), count(at(name, width))
    assert ours.parameters == theirs.count_params()
    assert ours.multiply_adds == multiply_adds(theirs)


@pytest.mark.parametrize(
    ("name", "side"), [("mobilenet-v1", 97), ("mobilenet-v1", 77), ("mobilenet-v2", 97), ("mobilenet-v3-small", 97)]
)
def test_maps_of_odd_sides_are_padded_as_in_keras_applications(name: str, side: int) -> None:
    from lykeion.nets import build_keras, load_keras_weights, weights_from_applications

    theirs, architecture = perturbed(application(name, 0.75, input_shape=(side, side, 3))), at(name, 0.75, side)
    assert count(architecture).multiply_adds == multiply_adds(theirs)
    ours, weights = build_keras(architecture), weights_from_applications(theirs, architecture)
    load_keras_weights(ours, weights)
    photos = photos_for(architecture)
    expected = np.array(theirs(photos, training=False))
    assert_equal_to_1e_4(np.array(ours(photos, training=False)), expected)
    assert_equal_to_1e_4(run(write_litert(architecture, weights, output="logits"), photos), expected)


@pytest.mark.parametrize("name", APPLICATIONS)
def test_weights_of_keras_applications_give_the_same_outputs(name: str) -> None:
    from lykeion.nets import build_keras, load_keras_weights, weights_from_applications

    theirs, architecture = perturbed(application(name, 0.75, input_shape=(64, 64, 3))), at(name, 0.75, 64)
    weights = weights_from_applications(theirs, architecture)
    ours, photos = build_keras(architecture), photos_for(architecture)
    load_keras_weights(ours, weights)
    assert_equal_to_1e_5(np.array(ours(photos, training=False)), np.array(theirs(photos, training=False)))


def test_a_network_without_its_top_gives_the_weights_up_to_the_pooling() -> None:
    from lykeion.nets import weights_from_applications

    architecture = at("mobilenet-v2", 0.35, 32)
    theirs = application("mobilenet-v2", 0.35, input_shape=(32, 32, 3), include_top=False)
    weights = weights_from_applications(theirs, architecture)
    assert weights.keys() == {
        name for layer in layers(architecture) if layer.name != "logits" for name in layer.weights()
    }


def test_weights_of_another_network_are_an_error_that_names_both() -> None:
    from lykeion.nets import weights_from_applications

    theirs = application("mobilenet-v2", 0.35, input_shape=(32, 32, 3))
    with pytest.raises(WeightsError, match=r"mobilenet-v1.* not the same network"):
        weights_from_applications(theirs, find("mobilenet-v1"))
    with pytest.raises(WeightsError, match=r"'0/convolution/kernel' has shape .* mobilenet-v2 needs"):
        weights_from_applications(theirs, find("mobilenet-v2"))


def test_rows_suffice_for_the_published_single_path_network() -> None:
    # arXiv:1904.02877, figure 6: kernel and expansion of each block, by stage.
    stages = (
        (24, 2, ((3, 3), (3, 3), (3, 3))),
        (40, 2, ((5, 6), (3, 3), (3, 3), (3, 3))),
        (80, 2, ((5, 6), (3, 3), (3, 3), (3, 3))),
        (96, 1, ((5, 6), (5, 3), (5, 3), (5, 3))),
        (192, 2, ((5, 6), (5, 6), (5, 6), (5, 6))),
    )
    rows: list[Row] = [Convolution(32, 3, 2, "relu"), InvertedResidual(32, 16, 3, activation="relu")]
    for channels, first_stride, blocks in stages:
        for place, (kernel, expansion) in enumerate(blocks):
            expanded, stride = rows[-1].output * expansion, 1 if place else first_stride
            rows.append(InvertedResidual(expanded, channels, kernel, stride, "relu"))
    rows += [InvertedResidual(192 * 6, 320, 3, activation="relu"), Convolution(1280, 1, activation="relu")]
    counts = count(Architecture("single-path", 224, 224, tuple(rows), classes=1000))
    assert counts.trainable == 4_421_616
    assert round(counts.multiply_adds / 1e6, 1) == 333.5


def multiply_adds(model) -> int:
    """Of a Keras model, from its own layers."""
    total = 0
    for layer in model.layers:
        match type(layer).__name__:
            case "Conv2D" | "DepthwiseConv2D":
                total += layer.output.shape[1] * layer.output.shape[2] * layer.kernel.shape.num_elements()
            case "Dense":
                total += layer.kernel.shape.num_elements()
            case _:
                pass
    return total


def perturbed(model):
    """With batch norms and biases that do something."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name != "kernel":
                variable.assign(np.array(variable) + rng.uniform(-0.3, 0.3, variable.shape))
    return model
