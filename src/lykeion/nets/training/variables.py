"""Getting and setting values of Keras variables. Imports Keras."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lykeion.nets.quiet_keras import keras


def values_of(variables: Iterable[Any]) -> list[np.ndarray]:
    """Copies, since a backend may return views, or reuse their memory (JAX donates its arrays)."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Raises ValueError if number or shapes differ; then nothing is assigned."""
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise ValueError("these are the values of other variables")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
