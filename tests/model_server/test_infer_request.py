"""Requests for inference: what fits the model, and what is refused and why."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.core import LykeionError
from lykeion.engines import TensorSpec
from lykeion.model_server.errors import BadInferRequest, LacksPart
from lykeion.model_server.infer_request import InferRequest, WantedOutput, read_request
from lykeion.model_server.model_signature import ModelSignature, signature_of
from lykeion.model_server.tensor_data import strings_to_binary


def signature(**shapes: tuple[int, ...]) -> ModelSignature:
    """Inputs of float32 with these rows; outputs ``y``, of three classes, and ``z``, a picture."""
    inputs = [TensorSpec(name, (-1, *row), np.dtype(np.float32)) for name, row in shapes.items()]
    values = [np.zeros((1, *row), np.float32) for row in shapes.values()]
    outputs = [TensorSpec("y", (-1, 3), np.dtype(np.float32)), TensorSpec("z", (-1, 2, 2), np.dtype(np.uint8))]
    found = {"y": np.zeros((1, 3), np.float32), "z": np.zeros((1, 2, 2), np.uint8)}
    return signature_of(inputs, values, outputs, found, ())


ONE, TWO = signature(x=(2,)), signature(x=(2,), s=(1,))


def tensor(name: str = "x", **changed: Any) -> dict[str, Any]:
    return {"name": name, "shape": [1, 2], "datatype": "FP32", "data": [1, 2], **changed}


def read(message: Any, binary: bytes | None = None, model: ModelSignature = ONE) -> InferRequest:
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    return read_body(text + (binary or b""), None if binary is None else len(text), model)


def read_body(body: bytes, json_bytes: int | None, model: ModelSignature = ONE) -> InferRequest:
    return read_request(memoryview(body), json_bytes, model)


def binary_tensor(values: np.ndarray) -> dict[str, Any]:
    return tensor(shape=list(values.shape), parameters={"binary_data_size": values.nbytes}, data=None)


def test_all_outputs_are_wanted_if_none_is_named_as_json_unless_all_as_binary_data() -> None:
    assert read({"inputs": [tensor()]}).outputs == (WantedOutput("y", False), WantedOutput("z", False))
    asked = read({"inputs": [tensor()], "parameters": {"binary_data_output": True}})
    assert asked.outputs == (WantedOutput("y", True), WantedOutput("z", True))


def test_an_output_says_how_it_is_wanted() -> None:
    outputs = [
        {"name": "z", "parameters": {"binary_data": False}},
        {"name": "y", "parameters": {"classification": 2}},
    ]
    asked = read({"inputs": [tensor()], "outputs": outputs, "parameters": {"binary_data_output": True}})
    assert asked.outputs == (WantedOutput("z", False), WantedOutput("y", True, 2))


def test_inputs_come_in_the_models_order_whatever_the_requests() -> None:
    side = tensor("s", shape=[1, 1], data=[7])
    values = read({"inputs": [side, tensor()]}, model=TWO).values
    assert [each.tolist() for each in values] == [[[1, 2]], [[7]]]


def test_binary_and_json_tensors_come_together() -> None:
    x = np.array([[3, 4]], np.float32)
    side = tensor("s", shape=[1, 1], data=[7])
    values = read({"inputs": [side, binary_tensor(x)]}, x.tobytes(), TWO).values
    assert [each.tolist() for each in values] == [[[3, 4]], [[7]]]


def test_unknown_fields_and_parameters_are_skipped_and_null_is_as_if_left_out() -> None:
    asked = read(
        {
            "model_name": "other",
            "future": {"deep": [1]},
            "id": "42",
            "outputs": None,
            "parameters": {"custom": "x"},
            "inputs": [tensor(parameters=None, more=1)],
        }
    )
    assert asked.id == "42"


def test_without_json_the_body_is_one_row_and_all_outputs_are_binary() -> None:
    asked = read_body(np.array([1, 2], np.float32).tobytes(), 0)
    assert asked.values[0].tolist() == [[1, 2]]
    assert all(each.binary for each in asked.outputs)
    with pytest.raises(BadInferRequest, match="2 inputs"):
        read_body(b"12345678", 0, TWO)
    with pytest.raises(BadInferRequest, match="7 bytes"):
        read_body(b"1234567", 0)


def test_a_time_is_given_in_microseconds() -> None:
    assert read({"inputs": [tensor()], "parameters": {"timeout": 1500}}).timeout_s == 0.0015
    assert read({"inputs": [tensor()]}).timeout_s is None


def test_photos_come_as_bytes_in_the_place_of_the_tensor() -> None:
    data = strings_to_binary([b"one", b"two"])
    photos = {"name": "x", "datatype": "BYTES", "shape": [2, 1], "parameters": {"binary_data_size": len(data)}}
    assert read({"inputs": [photos]}, data).photos == (b"one", b"two")
    encoded = {
        "name": "x",
        "datatype": "BYTES",
        "shape": [1],
        "data": ["b25l"],
        "parameters": {"content_type": "base64"},
    }
    assert read({"inputs": [encoded]}).photos == (b"one",)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        (b"", "not an inference request"),
        (b"\xff", "not an inference request"),
        (b"[]", "Expected `object`"),
        (b"[" * 100_000, "not an inference request"),
        (b'{"x":' * 100_000, "not an inference request"),
        ({}, "inputs"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [tensor()] * 65}, "inputs"),
        ({"inputs": [tensor()], "id": 42}, r"\$\.id"),
        ({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32"}]}, r"inputs\[0\] \('x'\): neither data nor"),
        ({"inputs": [tensor(name="")]}, r"inputs\[0\]\.name"),
        ({"inputs": [tensor("q")]}, r"inputs\[0\] \('q'\): the model has no input 'q'; it has 'x'"),
        ({"inputs": [tensor(), tensor()]}, r"inputs\[1\] \('x'\): the input is given twice"),
        ({"inputs": [tensor(datatype="FP64")]}, "datatype 'FP64'; the model takes FP32"),
        ({"inputs": [tensor()], "parameters": {"custom": "x" * 5_000}}, "parameters"),
        ({"inputs": [tensor(datatype="BF16")]}, "datatype 'BF16'"),
        ({"inputs": [tensor(shape=[1, 3])]}, r"shape \[1, 3\]; the model takes \[-1, 2\]"),
        ({"inputs": [tensor(shape=[2])]}, r"shape \[2\]"),
        ({"inputs": [tensor(shape=[])]}, r"shape \[\]"),
        ({"inputs": [tensor(shape=[0, 2], data=[])]}, "0 rows"),
        ({"inputs": [tensor(shape=[257, 2], data=[0] * 514)]}, "257 rows"),
        ({"inputs": [tensor(shape=[-1, 2])]}, r"shape\[...\]|shape\[0\]"),
        ({"inputs": [tensor(shape=[1 << 62, 1 << 62])]}, "shape"),
        ({"inputs": [tensor(shape=[1.5, 2])]}, "shape"),
        ({"inputs": [tensor(data=[1])]}, r"inputs\[0\] \('x'\): data has shape \[1\]"),
        ({"inputs": [tensor(parameters={"binary_data_size": 8})]}, "both given"),
        ({"inputs": [tensor(parameters={"nested": {}})]}, "parameters"),
        ({"inputs": [tensor()], "outputs": [{"name": "q"}]}, r"outputs\[0\] \('q'\): the model has no output 'q'"),
        ({"inputs": [tensor()], "outputs": [{"name": "y"}, {"name": "y"}]}, "named twice"),
        ({"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"classification": -1}}]}, "classification"),
        (
            {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"classification": True}}]},
            "classification",
        ),
        (
            {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"classification": 1001}}]},
            "classification",
        ),
        ({"inputs": [tensor()], "outputs": [{"name": "z", "parameters": {"classification": 1}}]}, "no classes"),
        ({"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}, "binary_data"),
        ({"inputs": [tensor()], "parameters": {"binary_data_output": "yes"}}, "binary_data_output"),
        ({"inputs": [tensor()], "parameters": {"timeout": -1}}, "timeout"),
        ({"inputs": [tensor()], "parameters": {"timeout": "1"}}, "timeout"),
        ({"inputs": [tensor(datatype="BYTES", shape=[1], data=["b25l"])]}, "base64"),
        ({"inputs": [tensor(datatype="BYTES", shape=[1, 2])]}, r"photos have shape \[n\]"),
        ({"inputs": [tensor(datatype="BYTES", shape=[257])]}, "257 rows"),
        (
            {"inputs": [tensor(datatype="BYTES", shape=[1], data=["b25"], parameters={"content_type": "base64"})]},
            "not base64",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(message: Any, says: str) -> None:
    with pytest.raises(BadInferRequest, match=says):
        read(message)


def test_so_many_rows_that_their_outputs_fill_the_memory_are_refused() -> None:
    spec = TensorSpec("x", (-1, 1), np.dtype(np.float32))
    mask = TensorSpec("mask", (-1, 4 << 20), np.dtype(np.uint8))
    found = {"mask": np.zeros((1, 4 << 20), np.uint8)}
    model = signature_of([spec], [np.zeros((1, 1), np.float32)], [mask], found, ())
    assert read({"inputs": [tensor(shape=[8, 1], data=[0] * 8)]}, model=model).values[0].shape == (8, 1)
    with pytest.raises(BadInferRequest, match="9 rows; a request has 1 to 8"):
        read({"inputs": [tensor(shape=[9, 1], data=[0] * 9)]}, model=model)


def test_an_input_that_is_missing_or_has_other_rows_than_the_others_is_named() -> None:
    with pytest.raises(BadInferRequest, match="'s' is missing"):
        read({"inputs": [tensor()]}, model=TWO)
    two_rows = tensor("s", shape=[2, 1], data=[1, 2])
    with pytest.raises(BadInferRequest, match="1 and 2 rows"):
        read({"inputs": [tensor(), two_rows]}, model=TWO)
    photo = tensor(datatype="BYTES", shape=[1], data=["b25l"], parameters={"content_type": "base64"})
    with pytest.raises(BadInferRequest, match="one input only"):
        read({"inputs": [photo, two_rows]}, model=TWO)


@pytest.mark.parametrize(
    ("size", "shape", "says"),
    [
        (-1, [1, 2], "binary_data_size is -1; 8 bytes of binary data are left"),
        (9, [1, 2], "binary_data_size is 9"),
        (10**15, [1, 2], "binary_data_size"),
        (True, [1, 2], "binary_data_size is True"),
        ("8", [1, 2], "binary_data_size is '8'"),
        ("8" * 4_000, [1, 2], "binary_data_size is '8{63}; 8 bytes"),
        (8.0, [1, 2], "binary_data_size is 8.0"),
        (4, [1, 2], r"4 bytes of binary data; FP32 of shape \[1, 2\] takes 8"),
        (8, [2, 2], "8 bytes of binary data"),
        (8, [200, 2], "8 bytes of binary data"),
    ],
)
def test_a_size_of_binary_data_that_is_not_the_tensors_is_refused(size: Any, shape: list[int], says: str) -> None:
    with pytest.raises(BadInferRequest, match=says):
        read(
            {"inputs": [tensor(shape=shape, parameters={"binary_data_size": size}) | {"data": None}]} | {},
            b"12345678",
        )


def test_bytes_that_no_tensor_announces_are_refused() -> None:
    x = np.array([[3, 4]], np.float32)
    with pytest.raises(BadInferRequest, match="3 bytes follow"):
        read({"inputs": [binary_tensor(x)]}, x.tobytes() + b"abc")
    with pytest.raises(BadInferRequest, match="announced with 100 bytes"):
        read_body(b"{}", 100)
    with pytest.raises(BadInferRequest, match="0 bytes of binary data are left"):
        read({"inputs": [binary_tensor(x)]})


@pytest.mark.parametrize(
    "message",
    [
        {"inputs": [tensor(parameters={"shared_memory_region": "r"})]},
        {"inputs": [tensor()], "outputs": [{"name": "y", "parameters": {"shared_memory_region": "r"}}]},
        {"inputs": [tensor()], "parameters": {"sequence_id": 7}},
    ],
)
def test_what_would_silently_mean_something_else_is_not_offered(message: Any) -> None:
    with pytest.raises(LacksPart, match="is not offered"):
        read(message)


def test_json_beyond_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(BadInferRequest, match="larger than 16 MiB; send large tensors as binary data"):
        read(b" " * (16 << 20) + b"{}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("name", "data", "x")), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "id": JSON,
            "parameters": JSON,
            "outputs": JSON | st.lists(st.fixed_dictionaries({"name": st.sampled_from("yzq"), "parameters": JSON})),
            "inputs": JSON
            | st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from("xsq")},
                    optional={
                        "shape": JSON | st.lists(st.integers(-1, 3), max_size=3),
                        "datatype": st.sampled_from(("FP32", "BYTES", "BOOL", "no")),
                        "parameters": JSON | st.dictionaries(st.just("binary_data_size"), st.integers(-1, 9)),
                        "data": JSON | st.lists(st.integers(0, 3), max_size=4),
                    },
                ),
                max_size=3,
            ),
        },
    ),
    st.none() | st.binary(max_size=16),
    st.sampled_from((ONE, TWO)),
)
def test_any_message_is_a_request_or_refused(message: Any, binary: bytes | None, model: ModelSignature) -> None:
    try:
        asked = read(message, binary, model)
    except LykeionError:
        return
    assert asked.photos or len(asked.values) == len(model.inputs)


@given(st.binary(max_size=80), st.none() | st.integers(0, 90))
def test_any_body_is_a_request_or_refused(body: bytes, json_bytes: int | None) -> None:
    try:
        read_body(body, json_bytes)
    except LykeionError:
        return
    assert json_bytes == 0
    assert len(body) == 8
