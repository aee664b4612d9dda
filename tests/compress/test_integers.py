from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from lykeion.compress import kernel_layers, litert_file
from lykeion.compress.weights.integers import activation_codes, kernel_codes, short
from lykeion.nets import find
from tests.nets.making import is_delegated, photos_for, run

from .making import ARCHITECTURE, clustered, dense, pruned, quantized, worst


@pytest.mark.parametrize("name", ["mobilenet-v1-0.25@32", "mobilenet-v2-0.35@32", "mobilenet-v3-small@32"])
def test_an_int8_file_runs_on_fast_kernels(name: str) -> None:
    architecture = find(name, classes=10)
    file = litert_file(quantized(dense(architecture)))
    assert is_delegated(file) == ("v3" not in name), "XNNPACK has no hard-swish of int8"
    assert run(file, photos_for(architecture, 3)).shape == (3, 10)


def test_all_between_photo_and_output_is_int8() -> None:
    interpreter = Interpreter(model_content=litert_file(quantized(dense())))
    interpreter.allocate_tensors()
    kinds = {detail["name"]: detail["dtype"] for detail in interpreter.get_tensor_details()}
    computed = [name for name in kinds if not name.rpartition("/")[2].isdecimal() and name]
    assert {name for name in computed if kinds[name] == np.float32} == {"image", "logits"}


def test_zeros_are_zeros_in_int8() -> None:
    model = quantized(pruned(dense()))
    for layer in kernel_layers(model.architecture):
        if layer.name in model.sparse:
            codes = kernel_codes(layer, model).codes
            assert (codes[model.kernels[layer.name] == 0] == 0).all()


def test_a_codebook_is_the_same_integers_in_every_channel() -> None:
    model = quantized(clustered(dense(), 16))
    for layer in kernel_layers(model.architecture):
        if layer.name in model.clustered:
            codes = kernel_codes(layer, model)
            assert len(np.unique(codes.codes)) <= 16
            assert (codes.scales > 0).all()


def test_codes_and_scales_are_the_folded_kernel() -> None:
    for model in (dense(), clustered(dense(), 32)):
        for layer in kernel_layers(model.architecture):
            codes = kernel_codes(layer, model)
            gain = np.float64(1)
            if layer.kind != "dense":
                own = {
                    name: model.weights[f"{layer.name}/{name}"].astype(np.float64) for name in ("gamma", "variance")
                }
                gain = own["gamma"] / np.sqrt(own["variance"] + ARCHITECTURE.epsilon)
            wanted = model.kernels[layer.name] * gain
            found = codes.codes * codes.scales.astype(np.float64)
            # Of a clustered kernel the scales are rounded after the codes.
            steps = 1.51 if layer.name in model.clustered else 0.51
            assert (np.abs(found - wanted) <= steps * codes.scales).all()


def test_activations_have_an_exact_zero() -> None:
    for low, high in ((0.0, 6.0), (-1.3, 2.9), (-6.0, 0.0), (0.0, 1e-3)):
        codes = activation_codes(low, high)
        assert -128 <= codes.zero_points[0] <= 127
        assert codes.scales[0] * (127 - codes.zero_points[0]) == pytest.approx(high, abs=codes.scales[0])


def test_short_numbers_have_8_bits_and_are_no_smaller() -> None:
    numbers = np.exp(np.random.default_rng(0).uniform(-20, 20, 1000))
    found = short(numbers)
    assert (found >= numbers * (1 - 1e-7)).all()
    assert (found <= numbers * (1 + 1 / 127)).all()
    assert (found.view(np.uint32) & 0xFFFF == 0).all()
    assert np.array_equal(short(found), found)


def test_int8_is_close_to_float32() -> None:
    """Of random weights, with ranges that fit."""
    model = dense(replace(ARCHITECTURE, head=()))
    photos = photos_for(ARCHITECTURE, 16)
    assert worst(run(litert_file(model), photos), run(litert_file(quantized(model)), photos)) < 0.25
