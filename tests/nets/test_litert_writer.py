import hashlib
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.nets import (
    Activation,
    Architecture,
    Convolution,
    DepthwiseSeparable,
    FullyConnected,
    InvertedResidual,
    Layer,
    Row,
    WeightsError,
    efficientnet_lite0,
    layers,
    write_block,
    write_litert,
)
from lykeion.nets.families.efficientnet_lite import MEAN, STD, read_weights
from lykeion.nets.published_weights import efficientnet_lite0_file
from tests.nets.making import assert_equal_to_1e_5, is_delegated, lively_weights, photos_for, run
from tests.nets.photos import prepared

TINY = Architecture("tiny", 16, 16, (Convolution(8, 3, 2), InvertedResidual(24, 8, 5), Convolution(12, 1)), classes=3)


@pytest.mark.parametrize("output", ["logits", "embedding"])
def test_efficientnet_lite0_equals_pytorch_on_real_photos(output) -> None:
    pixels = prepared()
    with np.load(Path(__file__).parent / "efficientnet_lite0_reference.npz") as reference:
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == str(reference["pixels_sha256"])
        expected = reference[output]
    model = write_litert(efficientnet_lite0(), read_weights(efficientnet_lite0_file()), output=output)
    actual = run(model, (pixels.astype(np.float32) - MEAN) / STD)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-3)
    if output == "logits":  # Egyptian cat, palace, daisy, missile
        assert actual.argmax(1).tolist() == [285, 698, 985, 657]


def test_the_default_model_has_the_same_bytes_everywhere() -> None:
    # An index remembers its embedder by digest: other bytes here would lock people out of their indexes.
    model = write_litert(efficientnet_lite0(), read_weights(efficientnet_lite0_file()))
    assert hashlib.sha256(model).hexdigest() == "2881e3d210ed0be4a3736a39f4bf88a8f9aa39243fb6a37843f67038c7a41f33"


def test_weights_start_on_sixteen_bytes_as_the_schema_demands() -> None:
    model = write_litert(TINY, lively_weights(TINY))
    view = np.frombuffer(model, np.uint8)
    buffers = tfl.ModelT.InitFromPackedBuf(model).buffers
    assert buffers is not None
    starts = [buffer.data.ctypes.data - view.ctypes.data for buffer in buffers if buffer.data is not None]  # pyright: ignore
    assert len(starts) > 10
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_the_embedding_model_carries_no_classifier() -> None:
    weights = lively_weights(TINY)
    del weights["logits/kernel"], weights["logits/bias"]
    assert run(write_litert(TINY, weights), np.zeros((2, 16, 16, 3), np.float32)).shape == (2, 12)
    with pytest.raises(WeightsError, match="'logits/kernel' are missing"):
        write_litert(TINY, weights, output="logits")


def test_weights_of_a_wrong_shape_are_an_error_that_names_them() -> None:
    weights = lively_weights(TINY) | {"0/convolution/gamma": np.ones(7, np.float32)}
    with pytest.raises(WeightsError, match=r"'0/convolution/gamma' have shape \(7,\); the network needs \(8,\)"):
        write_litert(TINY, weights)


channels, kernels, strides = st.integers(1, 9), st.sampled_from([1, 2, 3, 5]), st.integers(1, 3)
activations: st.SearchStrategy[Activation] = st.sampled_from(get_args(Activation))


@st.composite
def small_architectures(draw: st.DrawFn) -> Architecture:
    photo_channels = draw(st.sampled_from([1, 3]))
    rows: list[Row] = []
    for _ in range(draw(st.integers(1, 3))):
        before = rows[-1].output if rows else photo_channels
        kernel, stride, activation = draw(kernels), draw(strides), draw(activations)
        output = draw(st.sampled_from([before, 5]))
        match draw(st.sampled_from(["convolution", "separable", "inverted"])):
            case "convolution":
                rows.append(Convolution(output, kernel, stride, activation))
            case "separable":
                rows.append(DepthwiseSeparable(output, kernel, stride, activation))
            case _:
                expanded, squeeze = draw(st.sampled_from([before, 6])), draw(st.sampled_from([0, 3]))
                rows.append(InvertedResidual(expanded, output, kernel, stride, activation, squeeze))
    head = draw(st.lists(st.builds(FullyConnected, channels, activations), max_size=2).map(tuple))
    height, width = draw(st.integers(1, 13)), draw(st.integers(1, 13))
    return Architecture("small", height, width, tuple(rows), draw(channels), head, photo_channels)


@settings(max_examples=60)
@given(small_architectures(), st.integers(0, 2**32), st.integers(1, 3))
def test_a_file_computes_what_the_architecture_says(architecture: Architecture, seed: int, batch: int) -> None:
    weights, photos = lively_weights(architecture, seed), photos_for(architecture, batch, seed)
    computed = forward(layers(architecture), weights, photos.astype(np.float64), architecture.epsilon)
    for output in ("embedding", "logits"):
        model = write_litert(architecture, weights, output=output)
        assert_equal_to_1e_5(run(model, photos), computed[output])


@pytest.mark.parametrize(
    "row",
    [
        Convolution(8, 3, 2, "hard-swish"),
        DepthwiseSeparable(8, 3, 2),
        InvertedResidual(24, 8, 5),
        InvertedResidual(8, 8, 3, activation="relu"),
        InvertedResidual(24, 12, 5, 2, "hard-swish", squeeze=6),
        InvertedResidual(8, 8, 3, squeeze=4, activation="hard-swish", expand=True, residual=False),
    ],
)
def test_a_block_alone_computes_what_it_does_in_the_network_and_wholly_in_xnnpack(row: Row) -> None:
    alone = Architecture("alone", 10, 12, (row,), classes=2, channels=8)
    weights, features = lively_weights(alone), photos_for(alone)
    computed = forward(layers(alone), weights, features.astype(np.float64), 1e-3)
    last = [layer.name for layer in layers(alone) if not layer.vector][-1]
    model = write_block(row, 10, 12, 8, weights=weights)
    assert_equal_to_1e_5(run(model, features), computed[last])
    assert is_delegated(model)


def test_a_block_without_weights_runs_on_numbers_that_a_processor_finds_ordinary() -> None:
    model = write_block(InvertedResidual(96, 24, 5, 1, "hard-swish", squeeze=24), 14, 14, 24)
    features = np.random.default_rng(0).normal(size=(1, 14, 14, 24)).astype(np.float32)
    values = np.abs(run(model, features))
    assert 0.1 < values.mean() < 10
    assert (values > np.finfo(np.float32).tiny).all()


def forward(
    of: tuple[Layer, ...], weights: dict[str, np.ndarray], photos: np.ndarray, epsilon: float
) -> dict[str, np.ndarray]:
    """Every layer's output in plain numpy, float64, batch norm as it is written in the paper."""
    values = {"image": photos}
    for layer in of:
        inputs = [values[name] for name in layer.inputs]
        own = {name.rpartition("/")[2]: weights[name].astype(np.float64) for name in layer.weights()}
        match layer.kind:
            case "convolution" | "depthwise":
                value = convolve(layer, own["kernel"], inputs[0])
                value = (value - own["mean"]) / np.sqrt(own["variance"] + epsilon)
                value = value * own["gamma"] + own["beta"]
            case "add":
                value = inputs[0] + inputs[1]
            case "multiply":
                value = inputs[0] * inputs[1]
            case "pool":
                value = inputs[0].mean((1, 2), keepdims=not layer.vector)
            case "dense":
                value = inputs[0] @ own["kernel"] + own["bias"]
        values[layer.name] = activate(value, layer.activation)
    return values


def activate(value: np.ndarray, activation: Activation) -> np.ndarray:
    match activation:
        case "linear":
            return value
        case "relu":
            return np.maximum(value, 0)
        case "relu6":
            return np.clip(value, 0, 6)
        case "hard-sigmoid":
            return np.clip(value + 3, 0, 6) / 6
        case "hard-swish":
            return value * np.clip(value + 3, 0, 6) / 6


def convolve(layer: Layer, kernel: np.ndarray, source: np.ndarray) -> np.ndarray:
    padding = [(0, 0)]
    for before, after in ((source.shape[1], layer.height), (source.shape[2], layer.width)):
        needed = max((after - 1) * layer.stride + layer.kernel - before, 0)
        padding.append((needed // 2, needed - needed // 2))
    padded = np.pad(source, (*padding, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (layer.kernel, layer.kernel), (1, 2))
    windows = windows[:, :: layer.stride, :: layer.stride][:, : layer.height, : layer.width]
    if layer.kind == "convolution":
        return np.einsum("bhwcij,ijco->bhwo", windows, kernel)
    return np.einsum("bhwcij,ijc->bhwc", windows, kernel)
