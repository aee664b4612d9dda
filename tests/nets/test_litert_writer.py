import hashlib
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.nets import Architecture, Convolution, InvertedResidual, efficientnet_lite0
from lykeion.nets.efficientnet_lite import MEAN, STD, read_weights, weights_file
from lykeion.nets.layers import Layer, layers
from lykeion.nets.litert_writer import write_litert
from lykeion.nets.torch_weights import WeightsError
from tests.nets.photos import prepared

TINY = Architecture("tiny", 16, 16, (Convolution(8, 3, 2), InvertedResidual(24, 8, 5), Convolution(12, 1)), classes=3)


def run(model: bytes, batch: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.resize_tensor_input(0, batch.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def random_weights(architecture: Architecture, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}
    for layer in layers(architecture):
        for name, shape in layer.weights().items():
            value = rng.normal(size=shape).astype(np.float32)
            weights[name] = np.abs(value) + 0.5 if name.endswith("variance") else value
    return weights


@pytest.mark.parametrize("output", ["logits", "embedding"])
def test_efficientnet_lite0_equals_pytorch_on_real_photos(output) -> None:
    pixels = prepared()
    with np.load(Path(__file__).parent / "efficientnet_lite0_reference.npz") as reference:
        assert hashlib.sha256(pixels.tobytes()).hexdigest() == str(reference["pixels_sha256"])
        expected = reference[output]
    model = write_litert(efficientnet_lite0(), read_weights(weights_file()), output=output)
    actual = run(model, (pixels.astype(np.float32) - MEAN) / STD)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-3)
    if output == "logits":  # Egyptian cat, palace, daisy, missile
        assert actual.argmax(1).tolist() == [285, 698, 985, 657]


def test_the_default_model_has_the_same_bytes_everywhere() -> None:
    # An index remembers its embedder by digest: other bytes here would lock people out of their indexes.
    model = write_litert(efficientnet_lite0(), read_weights(weights_file()))
    assert hashlib.sha256(model).hexdigest() == "2881e3d210ed0be4a3736a39f4bf88a8f9aa39243fb6a37843f67038c7a41f33"


def test_weights_start_on_sixteen_bytes_as_the_schema_demands() -> None:
    model = write_litert(TINY, random_weights(TINY))
    view = np.frombuffer(model, np.uint8)
    buffers = tfl.ModelT.InitFromPackedBuf(model).buffers
    assert buffers is not None
    starts = [buffer.data.ctypes.data - view.ctypes.data for buffer in buffers if buffer.data is not None]  # pyright: ignore
    assert len(starts) > 10
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_the_embedding_model_carries_no_classifier() -> None:
    weights = random_weights(TINY)
    del weights["logits/kernel"], weights["logits/bias"]
    assert run(write_litert(TINY, weights), np.zeros((2, 16, 16, 3), np.float32)).shape == (2, 12)
    with pytest.raises(WeightsError, match="'logits/kernel' are missing"):
        write_litert(TINY, weights, output="logits")


def test_weights_of_a_wrong_shape_are_an_error_that_names_them() -> None:
    weights = random_weights(TINY) | {"0/convolution/gamma": np.ones(7, np.float32)}
    with pytest.raises(WeightsError, match=r"'0/convolution/gamma' have shape \(7,\); the network needs \(8,\)"):
        write_litert(TINY, weights)


activations = st.sampled_from(["linear", "relu", "relu6"])
channels, kernels, strides = st.integers(1, 9), st.sampled_from([1, 2, 3, 5]), st.integers(1, 3)


@st.composite
def small_architectures(draw: st.DrawFn) -> Architecture:
    rows = [Convolution(draw(channels), draw(kernels), draw(strides), draw(activations))]
    for _ in range(draw(st.integers(0, 2))):
        before = rows[-1].output
        expanded, output = draw(st.sampled_from([before, 6])), draw(st.sampled_from([before, 5]))
        rows.append(InvertedResidual(expanded, output, draw(kernels), draw(strides), draw(activations)))
    return Architecture("small", draw(st.integers(1, 13)), draw(st.integers(1, 13)), tuple(rows), draw(channels))


@settings(max_examples=40)
@given(small_architectures(), st.integers(0, 2**32), st.integers(1, 3))
def test_a_file_computes_what_the_architecture_says(architecture: Architecture, seed: int, batch: int) -> None:
    weights = random_weights(architecture, seed)
    photos = np.random.default_rng(seed).normal(size=(batch, architecture.height, architecture.width, 3))
    expected = forward(architecture, weights, photos)
    actual = run(write_litert(architecture, weights, output="logits"), photos.astype(np.float32))
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(expected).max())))


def forward(architecture: Architecture, weights: dict[str, np.ndarray], photos: np.ndarray) -> np.ndarray:
    """The network in plain numpy, float64, batch norm as it is written in the paper."""
    values = {"image": photos}
    for layer in layers(architecture):
        inputs = [values[name] for name in layer.inputs]
        own = {name.rpartition("/")[2]: weights[name].astype(np.float64) for name in layer.weights()}
        match layer.kind:
            case "convolution" | "depthwise":
                value = convolve(layer, own["kernel"], inputs[0])
                value = (value - own["mean"]) / np.sqrt(own["variance"] + architecture.epsilon)
                value = value * own["gamma"] + own["beta"]
            case "add":
                value = inputs[0] + inputs[1]
            case "pool":
                value = inputs[0].mean((1, 2))
            case "dense":
                value = inputs[0] @ own["kernel"] + own["bias"]
        low, high = {"linear": (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}[layer.activation]
        values[layer.name] = np.clip(value, low, high)
    return values["logits"]


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
