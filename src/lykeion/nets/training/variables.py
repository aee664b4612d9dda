"""Values of Keras variables, in and out. Imports Keras."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lykeion.nets.quiet_keras import keras


def values_of(variables: Iterable[Any]) -> list[np.ndarray]:
    """Copies: a backend may hand out views, or give away what lies under them (JAX donates its arrays)."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def assign(variables: Sequence[Any], values: Sequence[np.ndarray]) -> None:
    """Raises ValueError where number or shapes differ; then nothing is assigned."""
    if [tuple(variable.shape) for variable in variables] != [value.shape for value in values]:
        raise ValueError("these are the values of other variables")
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
