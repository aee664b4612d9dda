"""Tensors as JSON and as binary data."""

import json
from base64 import b64encode
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from lykeion.model_server.datatypes import DTYPES
from lykeion.model_server.errors import BadInferRequest
from lykeion.model_server.tensor_data import (
    from_binary,
    from_json,
    strings_from_base64,
    strings_from_binary,
    strings_to_binary,
    to_binary,
    to_json,
)

JSON_LIKE = st.text(alphabet='[],.-+eE019tf "n', max_size=30).map(str.encode)
SHAPES = nps.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@st.composite
def tensors(draw: Any, *, finite: bool = False) -> tuple[str, np.ndarray]:
    """A datatype and an array of it."""
    name = draw(st.sampled_from(sorted(DTYPES)))
    special = {"allow_nan": not finite, "allow_infinity": not finite} if DTYPES[name].kind == "f" else {}
    elements = nps.from_dtype(DTYPES[name], **special)
    return name, draw(nps.arrays(DTYPES[name], draw(SHAPES), elements=elements))


@given(tensors(), st.integers(0, 7))
def test_a_tensor_comes_back_from_binary_data_bit_for_bit_wherever_it_lies(
    tensor: tuple[str, np.ndarray], before: int
) -> None:
    name, values = tensor
    body = memoryview(b"{" * before + to_binary(values))[before:]
    found = from_binary(body, name, values.shape)
    assert (found.dtype, found.shape, found.tobytes()) == (values.dtype, values.shape, values.tobytes())
    assert found.flags.aligned


@given(tensors(finite=True), st.booleans())
def test_a_tensor_comes_back_from_json_nested_or_flat(tensor: tuple[str, np.ndarray], nested: bool) -> None:
    name, values = tensor
    written = json.dumps(values.tolist() if nested else to_json(values, "x")).encode()
    if nested and 0 in values.shape[:-1]:
        return  # its lists do not tell its shape
    found = from_json(memoryview(written), name, values.shape)
    assert (found.dtype, found.shape, found.tolist()) == (values.dtype, values.shape, values.tolist())


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_strings_come_back_from_binary_data(strings: list[bytes]) -> None:
    assert strings_from_binary(memoryview(strings_to_binary(strings)), len(strings)) == strings


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=8), st.booleans())
def test_strings_come_back_from_base64(strings: list[bytes], nested: bool) -> None:
    texts: list[Any] = [b64encode(string).decode() for string in strings]
    shape = [len(strings), 1] if nested else [len(strings)]
    written = json.dumps([[text] for text in texts] if nested else texts).encode()
    assert strings_from_base64(memoryview(written), shape) == strings


@given(st.sampled_from(sorted(DTYPES)), st.binary(max_size=64), st.lists(st.integers(0, 4), min_size=1, max_size=3))
def test_any_bytes_are_a_tensor_or_refused(name: str, data: bytes, shape: list[int]) -> None:
    try:
        assert from_binary(memoryview(data), name, shape).shape == tuple(shape)
    except BadInferRequest:
        assert len(data) != prod(shape) * DTYPES[name].itemsize or name == "BOOL"


@given(
    st.sampled_from(sorted(DTYPES)),
    st.one_of(st.binary(max_size=64), st.text(alphabet='[],.-+eE019tf "n', max_size=30).map(str.encode)),
)
def test_any_text_is_a_tensor_or_refused(name: str, data: bytes) -> None:
    try:
        from_json(memoryview(data), name, [2, 2])
    except BadInferRequest:
        return
    assert np.array(json.loads(data)).size == 4


@given(st.binary(max_size=64), st.integers(0, 10))
def test_any_bytes_are_strings_or_refused(data: bytes, count: int) -> None:
    try:
        found = strings_from_binary(memoryview(data), count)
    except BadInferRequest:
        return
    assert strings_to_binary(found) == data


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("FP32", "[1, 2, 3]", "shape"),
        ("FP32", "[[1, 2], [3]]", "differ in length"),
        ("FP32", "[[[1, 2], [3, 4]]]", "nested 3 deep"),
        ("FP32", "[1, 2, 3, NaN]", "data"),
        ("FP32", "[1, 2, 3, Infinity]", "data"),
        ("FP32", "[1, 2, 3, 1e39]", "too large for float32"),
        ("FP16", "[1, 2, 3, 70000]", "too large for float16"),
        ("FP64", "[1, 2, 3, 1e999]", "range"),
        ("FP32", '[1, 2, 3, "4"]', "str"),
        ("FP32", "[1, 2, 3, null]", "null"),
        ("FP32", "[1, 2, 3, true]", "bool"),
        ("UINT8", "[1, 2, 3, 256]", "256"),
        ("UINT8", "[1, 2, 3, -1]", "-1"),
        ("INT32", "[1, 2, 3, 1.5]", "float"),
        ("INT64", "[1, 2, 3, 9223372036854775808]", "data"),
        ("BOOL", "[true, false, true, 1]", "int"),
        ("FP32", "{}", "not a list"),
        ("FP32", "", "data"),
        ("FP32", "[" * 60 + "1" + "]" * 60, "nested 60 deep"),
        ("FP32", "[" * 1_000_000, "nested 64 deep"),
    ],
)
def test_data_that_the_datatype_or_shape_does_not_hold_is_refused(name: str, data: str, says: str) -> None:
    with pytest.raises(BadInferRequest, match=says):
        from_json(memoryview(data.encode()), name, [2, 2])


def test_a_string_that_announces_more_than_there_is_takes_no_memory_and_is_refused() -> None:
    with pytest.raises(BadInferRequest, match="longer than the data"):
        strings_from_binary(memoryview(b"\xff\xff\xff\xff" + b"x"), 1)


def test_a_bool_is_a_byte_of_0_or_1() -> None:
    assert from_binary(memoryview(b"\0\1"), "BOOL", [2]).tolist() == [False, True]
    with pytest.raises(BadInferRequest, match="neither 0 nor 1"):
        from_binary(memoryview(b"\0\2"), "BOOL", [2])


def test_an_output_of_millions_is_not_written_as_json() -> None:
    with pytest.raises(BadInferRequest, match="'mask' has 1,048,577 numbers; ask for binary_data"):
        to_json(np.zeros((1 << 20) + 1, np.uint8), "mask")


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_json_has_no_number_for_is_named(odd: float) -> None:
    with pytest.raises(BadInferRequest, match="'logits' holds NaN or infinity"):
        to_json(np.array([1, odd], np.float32), "logits")
