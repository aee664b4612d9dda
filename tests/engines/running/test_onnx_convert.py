from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tfl

from lykeion.core import Unsupported
from lykeion.engines import LiteRTEngine, ModelError
from lykeion.engines.choosing import checked_onnx
from lykeion.litert import precision, read_graph
from tests.litert.files import one_operator, quantized

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

B, O, P = tfl.BuiltinOperator, tfl.ActivationFunctionType, tfl.Padding  # noqa: E741
RNG = np.random.default_rng(5)
MAP, ROWS = (1, 7, 6, 4), (1, 12)


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def convolution(padding: int, stride: int, dilation: int = 1) -> Any:
    return tfl.Conv2DOptionsT(
        padding=padding,
        strideH=stride,
        strideW=stride,
        dilationHFactor=dilation,
        dilationWFactor=dilation,
        fusedActivationFunction=O.RELU6,
    )


def pool(padding: int) -> Any:
    return tfl.Pool2DOptionsT(padding=padding, strideH=2, strideW=2, filterHeight=3, filterWidth=2)


OPERATORS: dict[str, tuple[Any, ...]] = {
    "a convolution with stride 2": (
        B.CONV_2D,
        convolution(P.SAME, 2),
        MAP,
        (1, 4, 3, 5),
        [weights(5, 3, 3, 4), weights(5)],
    ),
    "a convolution without padding": (
        B.CONV_2D,
        convolution(P.VALID, 1),
        MAP,
        (1, 5, 4, 5),
        [weights(5, 3, 3, 4), weights(5)],
    ),
    "a dilated convolution": (
        B.CONV_2D,
        convolution(P.SAME, 1, 2),
        MAP,
        (1, 7, 6, 5),
        [weights(5, 3, 3, 4), weights(5)],
    ),
    "a convolution in two groups": (
        B.CONV_2D,
        convolution(P.SAME, 1),
        MAP,
        (1, 7, 6, 6),
        [weights(6, 3, 3, 2), weights(6)],
    ),
    "a depthwise convolution": (
        B.DEPTHWISE_CONV_2D,
        tfl.DepthwiseConv2DOptionsT(
            padding=P.SAME, strideH=2, strideW=2, depthMultiplier=2, dilationHFactor=1, dilationWFactor=1
        ),
        MAP,
        (1, 4, 3, 8),
        [weights(1, 5, 5, 8), weights(8)],
    ),
    "a dense layer": (B.FULLY_CONNECTED, tfl.FullyConnectedOptionsT(), ROWS, (1, 5), [weights(5, 12), weights(5)]),
    "a dense layer on a map": (
        B.FULLY_CONNECTED,
        tfl.FullyConnectedOptionsT(),
        MAP,
        (1, 3),
        [weights(3, 168), weights(3)],
    ),
    "addition of a constant a channel": (
        B.ADD,
        tfl.AddOptionsT(fusedActivationFunction=O.RELU),
        MAP,
        MAP,
        [weights(4)],
    ),
    "multiplication by one number": (B.MUL, tfl.MulOptionsT(), MAP, MAP, [np.array(0.3, np.float32)]),
    "subtraction of a map": (B.SUB, tfl.SubOptionsT(), MAP, MAP, [weights(*MAP)]),
    "the mean of a map": (B.MEAN, tfl.ReducerOptionsT(keepDims=False), MAP, (1, 4), [np.array([1, 2], np.int32)]),
    "the mean of a map, its axes kept": (
        B.MEAN,
        tfl.ReducerOptionsT(keepDims=True),
        MAP,
        (1, 1, 1, 4),
        [np.array([2, 1], np.int32)],
    ),
    "average pooling": (B.AVERAGE_POOL_2D, pool(P.SAME), MAP, (1, 4, 3, 4)),
    "maximum pooling": (B.MAX_POOL_2D, pool(P.VALID), MAP, (1, 3, 3, 4)),
    "hard-swish": (B.HARD_SWISH, tfl.HardSwishOptionsT(), MAP, MAP),
    "a logistic function": (B.LOGISTIC, None, MAP, MAP),
    "softmax": (B.SOFTMAX, tfl.SoftmaxOptionsT(beta=1.0), ROWS, ROWS),
    "normalisation along the channels": (B.L2_NORMALIZATION, tfl.L2NormOptionsT(), MAP, MAP),
    "a map as a row": (
        B.RESHAPE,
        tfl.ReshapeOptionsT(newShape=[-1, 168]),
        MAP,
        (1, 168),
        [np.array([-1, 168], np.int32)],
    ),
    "a padded map": (
        B.PAD,
        tfl.PadOptionsT(),
        MAP,
        (1, 10, 7, 4),
        [np.array([[0, 0], [1, 2], [0, 1], [0, 0]], np.int32)],
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_computes_what_it_did(name: str) -> None:
    from lykeion.engines.running.adapters.onnxruntime import OnnxRuntimeEngine

    model = one_operator(*OPERATORS[name])
    batch = np.random.default_rng(0).normal(size=(3, *OPERATORS[name][2][1:])).astype(np.float32) * 2
    expected = LiteRTEngine(model, xnnpack=False).run(batch)["y"]
    found = OnnxRuntimeEngine(model).run(batch)["y"]
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPERATORS)
def test_tensorflow_agrees(name: str) -> None:
    pytest.importorskip("tensorflow")
    from lykeion.engines.running.adapters.tensorflow import TensorFlowEngine

    model = one_operator(*OPERATORS[name])
    batch = np.random.default_rng(1).normal(size=(2, *OPERATORS[name][2][1:])).astype(np.float32)
    expected = LiteRTEngine(model, xnnpack=False).run(batch)["y"]
    np.testing.assert_allclose(TensorFlowEngine(model).run(batch)["y"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_network_of_16_bit_activations_computes_what_it_did(model: bytes) -> None:
    """Its biases are 64-bit integers."""
    pytest.importorskip("ai_edge_quantizer")
    wide = quantized(model, "static_wi8_ai16", (16, 16, 3))
    assert precision(read_graph(wide)) == "int16"
    converted, agreement = checked_onnx(wide)
    assert converted
    assert agreement.cosine > 0.9999


def test_the_file_is_valid_onnx() -> None:
    import onnx

    from lykeion.engines.running import to_onnx

    onnx.checker.check_model(
        onnx.load_from_string(to_onnx(one_operator(*OPERATORS["a depthwise convolution"]))), True
    )


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (one_operator(B.COS, tfl.CosOptionsT(), MAP, MAP), "lacks COS"),
        (
            one_operator(B.MEAN, tfl.ReducerOptionsT(), MAP, (1, 7, 4), [np.array([2], np.int32)]),
            "MEAN over other axes",
        ),
        (one_operator(B.SOFTMAX, tfl.SoftmaxOptionsT(beta=2.0), ROWS, ROWS), "SOFTMAX with beta 2"),
        (
            one_operator(B.ADD, tfl.AddOptionsT(fusedActivationFunction=O.SIGN_BIT), MAP, MAP, [weights(4)]),
            "fused activation",
        ),
    ],
)
def test_what_cannot_be_converted_is_named_in_one_line(model: bytes, says: str) -> None:
    from lykeion.engines.running import to_onnx

    with pytest.raises(Unsupported, match=f"odd.tflite: ONNX conversion .*{says}") as caught:
        to_onnx(model, "odd.tflite")
    assert "\n" not in str(caught.value)


def test_nonsense_in_a_sound_file_is_an_error_of_one_line() -> None:
    from lykeion.engines.running import to_onnx

    with pytest.raises(ModelError, match=r"odd\.tflite: not a valid LiteRT model"):
        to_onnx(one_operator(B.CONV_2D, None, MAP, MAP, [weights(4, 3, 3, 4)]), "odd.tflite")
