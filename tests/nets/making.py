"""Weights and runs that several tests of networks need."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from lykeion.nets import Architecture, random_weights


def lively_weights(architecture: Architecture, seed: int = 0) -> dict[str, np.ndarray]:
    """Random ones whose batch norms and biases do something, as after a training."""
    rng = np.random.default_rng(seed)
    weights = random_weights(architecture, seed)
    for name, value in weights.items():
        if not name.endswith("/kernel"):
            weights[name] = (value + rng.uniform(-0.3, 0.3, value.shape)).astype(np.float32)
    return weights


def photos_for(architecture: Architecture, count: int = 2, seed: int = 0) -> np.ndarray:
    shape = (count, architecture.height, architecture.width, architecture.channels)
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def run(model: bytes, batch: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.resize_tensor_input(0, batch.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def is_delegated(model: bytes) -> bool:
    """Whether XNNPACK runs it from input to output, and LiteRT's own slow kernels nothing."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    delegates = [step for step in interpreter._get_ops_details() if step["op_name"] == "DELEGATE"]
    (source,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    return (
        len(delegates) == 1
        and source["index"] in delegates[0]["inputs"]
        and output["index"] in delegates[0]["outputs"]
    )


def assert_equal_to_1e_5(actual: np.ndarray, expected: np.ndarray) -> None:
    """Of the largest number that is expected, or of 1."""
    _assert_equal(actual, expected, 1e-5)


def assert_equal_to_1e_4(actual: np.ndarray, expected: np.ndarray) -> None:
    """The same of networks that are large, or written by two programs."""
    _assert_equal(actual, expected, 1e-4)


def _assert_equal(actual: np.ndarray, expected: np.ndarray, share: float) -> None:
    np.testing.assert_allclose(actual, expected, rtol=0, atol=share * max(1.0, float(np.abs(expected).max())))
